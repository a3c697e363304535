"""Sign-in: users and passwords in Airflow's own database (Flask-AppBuilder), or an OpenID provider.

``sign_in.json`` beside it says which; without that file it is passwords.
"""

import json
import logging
from pathlib import Path

from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride
from flask_appbuilder.const import AUTH_DB, AUTH_OAUTH

_LOG = logging.getLogger("airflow.sign_in")
_FILE = Path(__file__).with_name("sign_in.json")
_asked = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else None

AUTH_TYPE = AUTH_OAUTH if _asked else AUTH_DB
AUTH_USER_REGISTRATION = bool(_asked)

if _asked:
    # Only the api-server has the secret; Jobs that make users start the same application without it.
    _secret = Path(_asked["client_secret_file"])
    AUTH_ROLES_SYNC_AT_LOGIN = True
    AUTH_ROLES_MAPPING = _asked["roles"]
    # Whoever has no role by the mapping, and there is no default one, is refused below.
    AUTH_USER_REGISTRATION_ROLE = _asked["default_role"] or "Public"
    OAUTH_PROVIDERS = [
        {
            "name": "google" if _asked["google"] else "oidc",
            "icon": "fa-google" if _asked["google"] else "fa-key",
            "token_key": "access_token",
            "remote_app": {
                "client_id": _asked["client_id"],
                "client_secret": _secret.read_text(encoding="utf-8") if _secret.exists() else "",
                "server_metadata_url": f"{_asked['issuer']}/.well-known/openid-configuration",
                "client_kwargs": {"scope": " ".join(_asked["scopes"]), "code_challenge_method": "S256", "timeout": 10},
            },
        }
    ]

    class SignIn(FabAirflowSecurityManagerOverride):
        """Takes who somebody is from the ID token, whose signature, audience and nonce have been checked by then."""

        def get_oauth_user_info(self, provider, resp):
            """Name, e-mail address and what roles go by; nothing at all for somebody who may not come in."""
            claims = resp.get("userinfo") or {}
            email = str(claims.get("email") or "").lower()
            groups = claims.get(_asked["groups_claim"]) or []
            groups = [str(group) for group in (groups if isinstance(groups, list) else [groups])]
            keys = [email, *(group.lower() if "@" in group else group for group in groups)]
            # Somebody may have come in by password before: one user, whatever it is called.
            known = self.find_user(email=email) or self.find_user(username=email) if email else None
            refusal = _refusal(claims, email, keys)
            if known and known.username == _asked["administrator"]:
                # Its roles are not the provider's to take away.
                refusal = refusal or f"{email}: is the administrator's (adminUser, adminEmail), who has a password"
            if refusal:
                _LOG.warning("sign-in refused: %s", refusal)
                return {}
            return {
                "username": known.username if known else email,
                "email": email,
                "first_name": claims.get("given_name") or claims.get("name") or email,
                "last_name": claims.get("family_name") or "",
                "role_keys": keys,
            }

        def _oauth_calculate_user_roles(self, userinfo):
            """Those of the mapping; the default one only for who has none of them."""
            mapped = self.get_roles_from_keys(userinfo.get("role_keys", []))
            return list(mapped) or super()._oauth_calculate_user_roles(userinfo)

    SECURITY_MANAGER_CLASS = SignIn


def _refusal(claims, email, keys):
    """Why somebody may not come in; None if he may."""
    if "@" not in email:
        return "the provider names no e-mail address (scope 'email')"
    # Providers that let people type any address say so with this claim. Google always has it.
    if claims.get("email_verified", not _asked["google"]) is not True:
        return f"{email}: the provider has not verified this address"
    domain = str(claims.get("hd") or "").lower() if _asked["google"] else email.rpartition("@")[2]
    if domain not in _asked["domains"]:
        return f"{email}: not of {', '.join(_asked['domains'])}"
    if not _asked["default_role"] and not set(keys) & _asked["roles"].keys():
        return f"{email}: no role goes by this address or any of its groups"
    return None
