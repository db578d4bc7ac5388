"""Three guarded routes in Flask: metered, numeric, and boolean for a blueprint.

`flask --app example_project.flask_app run`; the customer is named in `X-Customer`.
"""

from __future__ import annotations

import os

from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue

from example_project.places import outbox
from stigg_guard_flask import (
    StiggGuard,
    entitlements_from,
    guard_blueprint,
    guard_exempt,
    meters_usage,
    requires_feature,
)


def customer_of_request() -> str:
    """A real application would look up a session or a token."""
    return request.headers.get("X-Customer", "customer-demo-01")


app = Flask(__name__)
app.config["STIGG_GUARD_TARGET"] = os.environ.get("REVVENU_SIDECAR", "local")
app.config["STIGG_GUARD_LOCAL_PORT"] = int(
    os.environ.get("REVVENU_SIDECAR_PORT", "8443")
)
# Usage that is not acknowledged waits here, and is reported later.
app.config["STIGG_GUARD_OUTBOX"] = outbox("flask")
# The local sidecar answers with all it was told; a real one lags a little more.
app.config["STIGG_GUARD_USAGE_SEEN_WITHIN"] = 5
app.config["STIGG_GUARD_UPGRADE_URL"] = "/plans"
StiggGuard(customer=customer_of_request).init_app(app)


@app.post("/templates")
@meters_usage("feature-01-templates")
def create_template() -> ResponseReturnValue:
    """Takes one template of the plan's limit."""
    return {"created": "template"}, 201


@app.post("/uploads")
@requires_feature("feature-06-max-file-size", at_least=25)
def upload() -> ResponseReturnValue:
    """Only for plans that take files of 25 MB."""
    return {"received": len(request.get_data())}, 201


# Every page below it is for plans with custom domains.
domains = Blueprint("domains", __name__, url_prefix="/domain")
guard_blueprint(domains, requires="feature-03-custom-domain")


@domains.get("")
def domain() -> ResponseReturnValue:
    """Guarded as its blueprint is."""
    return {"domain": "mail.revvenu.example"}


@domains.get("/help")
@guard_exempt
def domain_help() -> ResponseReturnValue:
    """For everybody."""
    return {"help": "Add two DNS records, and your emails come from your domain."}


app.register_blueprint(domains)


@app.get("/menu")
def menu() -> ResponseReturnValue:
    """What to offer this customer: one question to the sidecar."""
    entitled = entitlements_from()
    return {
        "domain": entitled.has("feature-03-custom-domain"),
        "new template": entitled.has("feature-01-templates"),
    }


@app.get("/plans")
def plans() -> ResponseReturnValue:
    """Where a 402 leads to."""
    return {"plans": ["Free", "Essentials", "Scale"]}
