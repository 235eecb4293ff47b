"""Moving whole stores: in from MLflow or an archive, out to an archive or an MLflow database."""
