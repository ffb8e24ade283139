"""Where the peer has its tasks."""

from rest_framework import routers

from tests.bench.django_peer.views import TaskViewSet

router = routers.DefaultRouter()
router.register("tasks", TaskViewSet, basename="task")
urlpatterns = router.urls
