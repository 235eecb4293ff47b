import loopline

loopline.set_tracking_uri(uri)                      # a server's URL; also without this line, embedded
loopline.set_experiment(experiment_name="wagoncab taxifare")

with loopline.start_run():
    params = dict(batch_size=256, row_count=100_000)
    metrics = dict(rmse=0.456)
    loopline.log_params(params)
    loopline.log_metrics(metrics)
    loopline.keras.log_model(keras_model=model, artifact_path="model",
                             keras_module="tensorflow.keras", registered_model_name="taxifare_model")
