"""Flask-SSE over Redis, under gunicorn."""

import os
import threading
import time

import feed
from flask import Flask
from flask_sse import sse

app = Flask(__name__)
app.config["REDIS_URL"] = os.environ["REDIS_URL"]
app.register_blueprint(sse, url_prefix="/feed")


def publish() -> None:
    with app.app_context():
        while True:
            number = feed.newest()
            sse.publish({"tick": number}, id=str(number), retry=1000)
            time.sleep(1)


threading.Thread(target=publish, daemon=True).start()
