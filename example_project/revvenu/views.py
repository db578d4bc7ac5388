"""Revvenu's pages. A page that costs something says so in the line above it."""

from __future__ import annotations

from uuid import uuid4

from django import forms
from django.contrib import messages
from django.contrib.auth import login as log_in
from django.contrib.auth import logout as log_out
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from example_project.revvenu.billing import denied, user_of
from example_project.revvenu.demo import start_over
from example_project.revvenu.forms import (
    LARGEST_UPLOAD_MB,
    CampaignForm,
    DomainForm,
    TemplateForm,
    UploadForm,
)
from example_project.revvenu.models import Asset, Campaign, Domain, Template, User
from example_project.revvenu.panel import panel
from example_project.revvenu.plans import CAMPAIGNS, NAMES, PLANS, TEMPLATES
from example_project.revvenu.standing import standing
from example_project.revvenu.waiting import waiting
from stigg_guard import Decision
from stigg_guard_django import (
    guard_from,
    meters_usage,
    requires_feature,
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
def overview(request: HttpRequest) -> HttpResponse:
    """What the customer's plan contains and how much of it is used."""
    guard, customer_id = guard_from(request), user_of(request).customer_id
    found = panel(guard.sidecar.client, customer_id)
    context = {"panel": found, "waiting": waiting(guard, customer_id)}
    return render(request, "revvenu/overview.html", context)


@require_POST
def begin_again(request: HttpRequest) -> HttpResponse:
    """Give the demo customer its first templates and its first usage back."""
    if start_over(guard_from(request), user_of(request)):
        messages.success(request, "Templates, campaigns and usage are as they began.")
    else:
        messages.error(request, "The sidecar is away; it is told when it is back.")
    return redirect("overview")


@require_GET
def templates(request: HttpRequest) -> HttpResponse:
    """Every template, and a form for one more."""
    return _templates(request, TemplateForm())


def _templates(
    request: HttpRequest, form: forms.Form, status: int = 200
) -> HttpResponse:
    user = user_of(request)
    context = {
        "templates": Template.objects.filter(owner=user),
        "form": form,
        "form_id": uuid4(),
        "now": standing(guard_from(request), user),
    }
    return render(request, "revvenu/templates.html", context, status=status)


def denied_unless_made(request: HttpRequest, decision: Decision) -> HttpResponse:
    """A second click that found the last unit taken, by the first one."""
    form = TemplateForm(request.POST)
    form_id = form.cleaned_data["form_id"] if form.is_valid() else None
    made = Template.objects.filter(owner=user_of(request), form_id=form_id).first()
    if form_id is None or made is None:
        return denied(request, decision)
    return _ready(request, made)


@require_POST
@meters_usage(TEMPLATES, on_denied=denied_unless_made)
def create_template(request: HttpRequest) -> HttpResponse:
    """Take one unit, if the plan has one left."""
    form = TemplateForm(request.POST)
    if not form.is_valid():
        return _templates(request, form, status=400)
    template, is_new = Template.objects.get_or_create(
        owner=user_of(request),
        form_id=form.cleaned_data["form_id"] or uuid4(),
        defaults={"name": form.cleaned_data["name"]},
    )
    if not is_new:
        # A second click on the same form: it takes nothing.
        usage_from(request).value = 0
    return _ready(request, template)


def _ready(request: HttpRequest, template: Template) -> HttpResponse:
    messages.success(request, f"“{template.name}” is ready to be filled.")
    return redirect("templates")


@require_POST
@meters_usage(TEMPLATES, value=-1)
def delete_template(request: HttpRequest, template_id: int) -> HttpResponse:
    """Give one unit back."""
    template = get_object_or_404(Template, pk=template_id, owner=user_of(request))
    template.delete()
    messages.success(request, f"“{template.name}” is deleted.")
    return redirect("templates")


@require_GET
def campaigns(request: HttpRequest) -> HttpResponse:
    """Every campaign, and a form for one more."""
    return _campaigns(request, CampaignForm())


def _campaigns(
    request: HttpRequest, form: forms.Form, status: int = 200
) -> HttpResponse:
    found = Campaign.objects.filter(owner=user_of(request))
    context = {"campaigns": found, "form": form}
    return render(request, "revvenu/campaigns.html", context, status=status)


@require_POST
@meters_usage(CAMPAIGNS)
def send_campaign(request: HttpRequest) -> HttpResponse:
    """Send to everybody; counted until the month ends."""
    form = CampaignForm(request.POST)
    if not form.is_valid():
        return _campaigns(request, form, status=400)
    user, subject = user_of(request), form.cleaned_data["subject"]
    Campaign.objects.create(owner=user, subject=subject, recipients=user.subscribers)
    messages.success(request, f"“{subject}” is on its way.")
    return redirect("campaigns")


@requires_feature("feature-03-custom-domain")
def domain(request: HttpRequest) -> HttpResponse:
    """The domain that emails are sent from."""
    owner = user_of(request)
    found = Domain.objects.filter(owner=owner).first()
    form = DomainForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        Domain.objects.update_or_create(owner=owner, defaults={"name": name})
        messages.success(request, f"Emails are sent from {name} now.")
        return redirect("domain")
    return render(request, "revvenu/domain.html", {"domain": found, "form": form})


@requires_feature("feature-06-max-file-size", at_least=LARGEST_UPLOAD_MB)
def files(request: HttpRequest) -> HttpResponse:
    """Images and attachments, of a size that small plans do not take."""
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        Asset.objects.create(owner=user_of(request), name=file.name, size=file.size)
        messages.success(request, f"{file.name} is uploaded.")
        return redirect("files")
    context = {
        "assets": Asset.objects.filter(owner=user_of(request)),
        "form": form,
        "largest": LARGEST_UPLOAD_MB,
    }
    return render(request, "revvenu/files.html", context)


@require_GET
@requires_feature("feature-04-analytics")
def analytics(request: HttpRequest) -> HttpResponse:
    """How the campaigns were received."""
    found = Campaign.objects.filter(owner=user_of(request))
    return render(request, "revvenu/analytics.html", {"campaigns": found})


@login_not_required
@require_GET
def plans(request: HttpRequest) -> HttpResponse:
    """Where a 402 leads to; `?feature=` marks what was missed."""
    wanted = request.GET.get("feature", "")
    context = {"plans": PLANS, "wanted": wanted, "wanted_name": NAMES.get(wanted)}
    return render(request, "revvenu/plans.html", context)
