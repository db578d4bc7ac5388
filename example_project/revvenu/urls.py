"""Revvenu's addresses."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.contrib.staticfiles.views import serve
from django.urls import path

from example_project.revvenu import api, backstage, views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("start-over/", views.begin_again, name="start-over"),
    path("templates/", views.templates, name="templates"),
    path("templates/create/", views.create_template, name="create-template"),
    path(
        "templates/<int:template_id>/delete/",
        views.delete_template,
        name="delete-template",
    ),
    path("campaigns/", views.campaigns, name="campaigns"),
    path("campaigns/send/", views.send_campaign, name="send-campaign"),
    path("domain/", views.domain, name="domain"),
    path("files/", views.files, name="files"),
    path("analytics/", views.analytics, name="analytics"),
    path("backstage/", backstage.look, name="backstage"),
    path("backstage/burst/", backstage.send_burst, name="send-burst"),
    path("backstage/sidecar/", backstage.turn_sidecar, name="turn-sidecar"),
    path("plans/", views.plans, name="plans"),
    path("api/reports/", api.reports),
    path("api/templates/", api.create_template),
    # Whatever serves the demo, it serves style sheet and script as well.
    path("static/<path:path>", login_not_required(serve), {"insecure": True}),
]
