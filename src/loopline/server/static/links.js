// MLflow's clients print links such as /#/experiments/1/runs/<id>, whose end no server gets to see.
"use strict";

(() => {
  // Where a proxy shows the server below a path, that is before its own paths.
  const [prefix] = new URL(document.currentScript.src).pathname.split("/static/");
  const [where] = location.hash.slice(1).split("?");
  const pages = [
    [/^\/experiments\/\d+\/runs\/([^/]+)/, "/runs/$1"],
    [/^\/experiments\/\d+\/models\/([^/]+)/, "/logged-models/$1"],
    [/^\/models\/([^/]+)\/versions\/(\d+)/, "/models/$1#v$2"],
    [/^\/(experiments|models)\/([^/]+)/, "/$1/$2"],
    [/^\/(experiments|models)\/?$/, "/$1"],
  ];
  const known = pages.find(([link]) => link.test(where));
  if (!known) return;
  const path = where.match(known[0])[0].replace(...known);
  // Who is not signed in yet sees the page afterwards; the address of the form has no such end.
  const isDoor = location.pathname === `${prefix}/login`;
  location.replace(prefix + (isDoor ? `/login?next=${encodeURIComponent(path)}` : path));
})();
