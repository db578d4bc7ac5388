"""What people fill in; each form is validated before anything is metered."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import RegexValidator

from example_project.revvenu.plans import LARGEST_UPLOAD_MB

_DOMAIN = RegexValidator(
    r"^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$",
    "Enter a domain, such as mail.example.com.",
)


class TemplateForm(forms.Form):
    """A new template; a form with an id makes only one, however often it is sent."""

    name = forms.CharField(max_length=60)
    form_id = forms.UUIDField(required=False)


class CampaignForm(forms.Form):
    """A campaign to send."""

    subject = forms.CharField(max_length=80)


class DomainForm(forms.Form):
    """The domain to send from."""

    name = forms.CharField(max_length=253, validators=[_DOMAIN])


class UploadForm(forms.Form):
    """A file for the emails."""

    file = forms.FileField()

    def clean_file(self) -> UploadedFile[Any]:
        """The file, when it is not too large."""
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > LARGEST_UPLOAD_MB * 1024 * 1024:
            raise forms.ValidationError(
                f"This file is larger than {LARGEST_UPLOAD_MB} MB."
            )
        return file
