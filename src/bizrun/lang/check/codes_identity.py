"""What the codes E086 and E087 mean: directories and ways to sign in."""

from __future__ import annotations

from ...codes import Code

_USER = (
    "entity User {\n  id text key\n  login text\n  title text?\n  score number = 0\n"
    '  role text = "viewer"\n}\n'
)
_SIGN_IN = (
    _USER + "sign_in okta for User {\n"
    '  issuer: "https://example.okta.com"\n  client_id: env("OKTA_ID")\n'
)

CODES: dict[str, Code] = {
    "E0860": Code(
        "a directory of something else",
        "SCIM knows users and groups (RFC 7643, 4).",
        _USER + "directory user for User { userName: .login }   # E0860: users",
    ),
    "E0861": Code(
        "an unknown attribute of a directory",
        "What a directory can tell are the attributes of RFC 7643: of a user (4.1), of an "
        "enterprise's user (4.3), of a group (4.2).",
        _USER + "directory users for User {\n  userName: .login\n"
        "  titel: .title   # E0861: title\n}",
    ),
    "E0862": Code(
        "an attribute that can't be kept there",
        "Each attribute is kept in a field of its own, whose type it fits: a text, true or false, "
        "a list.",
        _USER + "directory users for User {\n  userName: .login\n  title: .score   # E0862\n}",
    ),
    "E0863": Code(
        "a directory without names",
        "Every user has a `userName`, every group a `displayName`: identity providers find them "
        "by it.",
        "entity User { id text key, login text? }\n"
        "directory users for User { userName: .login }   # E0863: login text",
    ),
    "E0864": Code(
        "a field that a directory leaves open",
        "Whom a directory tells about is a new row, and a row has all that it needs.",
        "entity User { id text key, login text, desk integer }\n"
        "directory users for User { userName: .login }   # E0864: desk integer?",
    ),
    "E0865": Code(
        "a directory of rows without a tenant",
        "The token of a tenant's directory touches that tenant's rows alone, so each row names "
        "its own.",
        'business "A" { bills Org, tenant Org }\nentity Org { id text key }\n'
        + _USER
        + "directory users for User { userName: .login }   # E0865: org Org",
    ),
    "E0866": Code(
        "an event of the directory, declared again",
        "What these events tell follows from the `directory`.",
        _USER + "directory users for User { userName: .login }\n"
        "event User.updated { user User }   # E0866\non User.updated(user) { log user.login }",
    ),
    "E0870": Code(
        "a setting that no sign-in has",
        "A way to sign in reads a fixed list of settings.",
        _SIGN_IN + '  redirect_uri: "https://a.example/sign-in/okta/callback"\n'
        "  find: { sub: .login }\n  sesion: 12 hours   # E0870: session\n}",
    ),
    "E0871": Code(
        "a sign-in that lacks a setting",
        "It needs the provider's address, what it is called there, where people come back to, and "
        "which claim finds whom.",
        _SIGN_IN.replace("User {\n  issuer", "User {   # E0871: redirect_uri\n  issuer")
        + "  find: { sub: .login }\n}",
    ),
    "E0872": Code(
        "a setting of a sign-in that can't be",
        "Addresses begin with https://, people come back to `/sign-in/NAME/callback`, and who is "
        "found, and their role, are texts of the entity.",
        _SIGN_IN + '  redirect_uri: "https://a.example/sign-in/okta/callback"\n'
        "  find: { sub: .logn }   # E0872: .login\n}",
    ),
}
