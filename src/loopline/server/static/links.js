// MLflow's clients print links such as /#/experiments/1/runs/<id>, whose end no server gets to see.
"use strict";

(() => {
  const [where] = location.hash.slice(1).split("?");
  const run = /^\/experiments\/\d+\/runs\/([^/]+)/.exec(where);
  const model = /^\/experiments\/\d+\/models\/([^/]+)/.exec(where);
  const kept = /^\/(experiments|models)\/([^/]+)/.exec(where);
  if (run) location.replace(`/runs/${run[1]}`);
  else if (model) location.replace(`/logged-models/${model[1]}`);
  else if (kept) location.replace(`/${kept[1]}/${kept[2]}`);
})();
