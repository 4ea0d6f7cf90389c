"""django-eventstream with its storage of events, under uvicorn."""

import os
import threading
import time

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.urls import include, path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    EVENTSTREAM_STORAGE_CLASS="django_eventstream.storage.DjangoModelStorage",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_eventstream"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for this test",
)
django.setup()

import django_eventstream  # noqa: E402, after the setup

urlpatterns = [path("feed", include(django_eventstream.urls), {"channels": ["ticks"]})]
call_command("migrate", verbosity=0)


def publish() -> None:
    number = 0
    while True:
        number += 1
        django_eventstream.send_event("ticks", "message", {"tick": number})
        time.sleep(1)


threading.Thread(target=publish, daemon=True).start()
app = get_asgi_application()
