"""The table as Django knows it."""

import uuid

from django.db import models


class Task(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user_id = models.CharField(max_length=255, editable=False)
    title = models.CharField(max_length=255)
    description = models.TextField(null=True, blank=True, max_length=10_000)
    completed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        app_label = "django_peer"
        db_table = "tasks"
        managed = False
