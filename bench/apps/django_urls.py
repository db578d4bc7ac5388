"""The URLs of `django_app`."""

from __future__ import annotations

from django.urls import path

from bench.apps import django_app

urlpatterns = [path("hello", django_app.view())]
