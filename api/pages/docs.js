"use strict";
// Asks with the cookie of whoever is signed in; a key can be given under "Authorize".
SwaggerUIBundle({
  url: "/api/v1/openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  validatorUrl: null,
});
