"""Revvenu's pages. What a page costs is said where its class or function begins.

The routes of `urls` guard two more; what the customer has is shown by the templates.
"""

from __future__ import annotations

import csv
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.contrib.auth import login as log_in
from django.contrib.auth import logout as log_out
from django.contrib.auth.decorators import login_not_required
from django.contrib.messages.views import SuccessMessageMixin
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_GET, require_POST
from django.views.generic import FormView

from example_project.revvenu.billing import user_of
from example_project.revvenu.demo import start_over
from example_project.revvenu.forms import (
    CampaignForm,
    DomainForm,
    TemplateForm,
    UploadForm,
)
from example_project.revvenu.models import Asset, Campaign, Domain, Template, User
from example_project.revvenu.panel import panel
from example_project.revvenu.plans import (
    CAMPAIGNS,
    CUSTOM_DOMAIN,
    FILE_SIZE,
    LARGEST_UPLOAD_MB,
    NAMES,
    PLANS,
    TEMPLATES,
)
from example_project.revvenu.standing import standing
from example_project.revvenu.waiting import waiting
from stigg_guard import Decision
from stigg_guard_django import (
    MetersUsageMixin,
    RequiresFeatureMixin,
    StiggRequest,
    guard_from,
    meters_usage,
    usage_from,
)


@login_not_required
def login(request: HttpRequest) -> HttpResponse:
    """Choose one of the demo customers."""
    if request.method == "POST":
        customer_id = request.POST.get("customer", "")
        log_in(request, get_object_or_404(User, customer_id=customer_id))
        return redirect("overview")
    users = User.objects.order_by("customer_id")
    return render(request, "revvenu/login.html", {"users": users})


@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    """Back to the choice of customers."""
    log_out(request)
    return redirect("login")


@require_GET
def overview(request: StiggRequest) -> HttpResponse:
    """What the customer's plan contains and how much of it is used."""
    context = {
        "panel": panel(request.stigg.entitlements),
        "waiting": waiting(guard_from(request), user_of(request).customer_id),
    }
    return render(request, "revvenu/overview.html", context)


@require_POST
def begin_again(request: HttpRequest) -> HttpResponse:
    """Give the demo customer its first templates and its first usage back."""
    if start_over(guard_from(request), user_of(request)):
        messages.success(request, "Templates, campaigns and usage are as they began.")
    else:
        messages.error(request, "The sidecar is away; it is told when it is back.")
    return redirect("overview")


if TYPE_CHECKING:
    _Said = SuccessMessageMixin[forms.Form]
    _FormView = FormView[forms.Form]
else:  # they take no type at run time
    _Said, _FormView = SuccessMessageMixin, FormView


class FormPage(_Said, _FormView):
    """A page with a form; what came of it is said on the next page."""

    @property
    def owner(self) -> User:
        """Whose page it is."""
        return user_of(self.request)


class Templates(FormPage):
    """Every template, and a form for one more."""

    http_method_names: Sequence[str] = ("get", "head")
    form_class = TemplateForm
    template_name = "revvenu/templates.html"
    success_url = reverse_lazy("templates")
    success_message = "“%(name)s” is ready to be filled."

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The templates, the form's id, and what is backstage."""
        return super().get_context_data(
            templates=Template.objects.filter(owner=self.owner),
            form_id=uuid4(),
            now=standing(guard_from(self.request), self.owner),
            **kwargs,
        )


class CreateTemplate(MetersUsageMixin, Templates):
    """Take one unit, if the plan has one left; a form with an error takes nothing."""

    http_method_names = ("post",)
    meters = TEMPLATES

    def form_valid(self, form: forms.Form) -> HttpResponse:
        """Make a template, once for each form."""
        _, is_new = Template.objects.get_or_create(
            owner=self.owner,
            form_id=form.cleaned_data["form_id"] or uuid4(),
            defaults={"name": form.cleaned_data["name"]},
        )
        if not is_new:
            # A second click on the same form: it takes nothing.
            usage_from(self.request).value = 0
        return super().form_valid(form)

    def form_invalid(self, form: forms.Form) -> HttpResponse:
        """The page again, for programs with the status of an error."""
        return self.render_to_response(self.get_context_data(form=form), status=400)

    def handle_denied(
        self, decision: Decision
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """A second click may find that the first one took the last unit."""
        form = self.get_form()
        form_id = form.cleaned_data["form_id"] if form.is_valid() else None
        mine = Template.objects.filter(owner=self.owner, form_id=form_id)
        if form_id is None or not mine.exists():
            return super().handle_denied(decision)
        return Templates.form_valid(self, form)


@require_POST
@meters_usage(TEMPLATES, value=-1)
def delete_template(request: HttpRequest, template_id: int) -> HttpResponse:
    """Give one unit back."""
    template = get_object_or_404(Template, pk=template_id, owner=user_of(request))
    template.delete()
    messages.success(request, f"“{template.name}” is deleted.")
    return redirect("templates")


class Campaigns(MetersUsageMixin, FormPage):
    """Every campaign, and a form that sends one more; that is what is counted."""

    meters = CAMPAIGNS
    form_class = CampaignForm
    template_name = "revvenu/campaigns.html"
    success_url = reverse_lazy("campaigns")
    success_message = "“%(subject)s” is on its way."

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The campaigns that were sent."""
        found = Campaign.objects.filter(owner=self.owner)
        return super().get_context_data(campaigns=found, **kwargs)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        """Send to everybody; counted until the month ends."""
        Campaign.objects.create(
            owner=self.owner,
            subject=form.cleaned_data["subject"],
            recipients=self.owner.subscribers,
        )
        return super().form_valid(form)


@require_GET
def export_campaigns(request: HttpRequest) -> HttpResponse:
    """The campaigns for a spreadsheet; `urls` says what it needs."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="campaigns.csv"'
    rows = csv.writer(response)
    rows.writerow(["subject", "sent", "recipients"])
    for campaign in Campaign.objects.filter(owner=user_of(request)):
        row = [campaign.subject, campaign.sent.date(), campaign.recipients]
        rows.writerow(row)
    return response


class CustomDomain(RequiresFeatureMixin, FormPage):
    """The domain that emails are sent from."""

    feature = CUSTOM_DOMAIN
    form_class = DomainForm
    template_name = "revvenu/domain.html"
    success_url = reverse_lazy("domain")
    success_message = "Emails are sent from %(name)s now."

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The domain in use, if there is one."""
        found = Domain.objects.filter(owner=self.owner).first()
        return super().get_context_data(domain=found, **kwargs)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        """Use another domain from now on."""
        defaults = {"name": form.cleaned_data["name"]}
        Domain.objects.update_or_create(owner=self.owner, defaults=defaults)
        return super().form_valid(form)


class Files(RequiresFeatureMixin, FormPage):
    """Images and attachments, of a size that small plans do not take."""

    feature = FILE_SIZE
    at_least = LARGEST_UPLOAD_MB
    form_class = UploadForm
    template_name = "revvenu/files.html"
    success_url = reverse_lazy("files")
    success_message = "%(file)s is uploaded."

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The files that are there."""
        found = Asset.objects.filter(owner=self.owner)
        return super().get_context_data(
            assets=found, largest=LARGEST_UPLOAD_MB, **kwargs
        )

    def form_valid(self, form: forms.Form) -> HttpResponse:
        """Note the file."""
        file = form.cleaned_data["file"]
        Asset.objects.create(owner=self.owner, name=file.name, size=file.size)
        return super().form_valid(form)


@require_GET
def analytics(request: HttpRequest) -> HttpResponse:
    """How the campaigns were received; `urls` says what it needs."""
    found = Campaign.objects.filter(owner=user_of(request))
    return render(request, "revvenu/analytics.html", {"campaigns": found})


@login_not_required
@require_GET
def plans(request: HttpRequest) -> HttpResponse:
    """Where a 402 leads to; `?feature=` marks what was missed."""
    wanted = request.GET.get("feature", "")
    context = {"plans": PLANS, "wanted": wanted, "wanted_name": NAMES.get(wanted)}
    return render(request, "revvenu/plans.html", context)
