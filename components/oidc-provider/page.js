// The form in which people say who they are.

export function page(uid, problem) {
  return `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>Sign in at the provider</title></head>
  <body>
    <main>
      <h1>Sign in at the provider</h1>
      <p role="alert">${problem}</p>
      <form method="post" action="/interaction/${encodeURIComponent(uid)}">
        <p><label>Name <input name="name" autocomplete="username"></label></p>
        <p><label>Password
          <input name="password" type="password" autocomplete="current-password"></label></p>
        <p><button>Sign in</button> <button name="back" value="1">Back</button></p>
      </form>
    </main>
  </body>
</html>
`;
}
