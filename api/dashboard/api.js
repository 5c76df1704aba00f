// Asks the API and tells what went wrong in its own words. Keeps nothing but who is signed in.

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the API answered ${status}`);
    this.status = status;
    this.code = problem.code || "";
  }
}

export const who = { csrf: null, scopes: [] };

export function may(scope) {
  return who.scopes.includes(scope);
}

// Status 0: nobody answered.
export async function ask(path, { method = "GET", body } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && who.csrf) headers["X-CSRF-Token"] = who.csrf;
  let response;
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused(0, { detail: "the API does not answer" });
  }
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, told);
  return told;
}

export async function whoAmI() {
  const me = await ask("/auth/me");
  [who.csrf, who.scopes] = [me.csrf_token, me.scopes];
  return me;
}

export async function signIn(user, password) {
  await ask("/auth/login", { method: "POST", body: { user, password, session: true } });
  return whoAmI();
}
