// MLflow's clients print links such as /#/experiments/1/runs/<id>, whose end no server gets to see.
"use strict";

(() => {
  // Where a proxy shows the server below a path, that is before its own paths.
  const [prefix] = new URL(document.currentScript.src).pathname.split("/static/");
  const [where] = location.hash.slice(1).split("?");
  const run = /^\/experiments\/\d+\/runs\/([^/]+)/.exec(where);
  const model = /^\/experiments\/\d+\/models\/([^/]+)/.exec(where);
  const kept = /^\/(experiments|models)\/([^/]+)/.exec(where);
  if (run) location.replace(`${prefix}/runs/${run[1]}`);
  else if (model) location.replace(`${prefix}/logged-models/${model[1]}`);
  else if (kept) location.replace(`${prefix}/${kept[1]}/${kept[2]}`);
})();
