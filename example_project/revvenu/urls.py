"""Revvenu's addresses, two of which say what they need."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.contrib.staticfiles.views import serve
from django.urls import include, path

from example_project.places import WEBHOOKS
from example_project.revvenu import api, backstage, views
from example_project.revvenu.plans import ANALYTICS, EXPORTS
from stigg_guard_django import guarded_path, webhook_view

urlpatterns = [
    path("", views.overview, name="overview"),
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("start-over/", views.begin_again, name="start-over"),
    path("templates/", views.Templates.as_view(), name="templates"),
    path("templates/create/", views.CreateTemplate.as_view(), name="create-template"),
    path(
        "templates/<int:template_id>/delete/",
        views.delete_template,
        name="delete-template",
    ),
    path("campaigns/", views.Campaigns.as_view(), name="campaigns"),
    guarded_path(
        "campaigns/export/",
        views.export_campaigns,
        name="export-campaigns",
        feature=EXPORTS,
        values=["csv"],
    ),
    path("domain/", views.CustomDomain.as_view(), name="domain"),
    path("files/", views.Files.as_view(), name="files"),
    guarded_path("analytics/", views.analytics, name="analytics", feature=ANALYTICS),
    path("backstage/", backstage.look, name="backstage"),
    path("backstage/burst/", backstage.send_burst, name="send-burst"),
    path("backstage/sidecar/", backstage.turn_sidecar, name="turn-sidecar"),
    path("plans/", views.plans, name="plans"),
    path("api/", include((api.router.urls, "api"))),
    path(WEBHOOKS.removeprefix("/"), webhook_view, name="stigg-webhook"),
    # Whatever serves the demo, it serves style sheet and script as well.
    path("static/<path:path>", login_not_required(serve), {"insecure": True}),
]
