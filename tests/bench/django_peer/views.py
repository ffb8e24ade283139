"""A peer: Django REST Framework as its tutorial writes it."""

from typing import Any

from rest_framework import pagination, serializers, viewsets

from tests.bench.django_peer.models import Task


class TaskSerializer(serializers.ModelSerializer):
    class Meta:
        model = Task
        fields = ("id", "title", "description", "completed", "created_at", "updated_at")


class TaskPagination(pagination.CursorPagination):
    page_size = 50
    ordering = ("-created_at", "-id")


class TaskViewSet(viewsets.ModelViewSet):
    serializer_class = TaskSerializer
    pagination_class = TaskPagination

    def get_queryset(self) -> Any:
        return Task.objects.filter(user_id=self.request.headers["X-User-Id"])

    def perform_create(self, serializer: Any) -> None:
        serializer.save(user_id=self.request.headers["X-User-Id"])
