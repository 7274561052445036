"""A whole round trip with the client that a public generator made of /openapi.json: no request is written by hand here.

usage: generated_client.py <url of the daemon> <image> ; prints `done`.
"""

import io
import sys

from gristmill_client import AuthenticatedClient, Client
from gristmill_client.api.images import delete_image, fetch_image, list_images, upload_images
from gristmill_client.api.quiz import fetch_questions, list_questions
from gristmill_client.api.reports import create_report, fetch_report
from gristmill_client.api.tasks import create_task, delete_task, get_task, list_tasks, total_tasks_created
from gristmill_client.api.users import add_to_stats, create_user, delete_user, get_stats, get_user, login, set_stats
from gristmill_client.models import (
    Image, Login, NewImages, NewQuestions, NewReport, NewStats, NewTask, NewUser, Problem, Report, Stats, Task,
    TasksCreated, UploadedImage, User, UserWithToken,
)
from gristmill_client.types import UNSET, File


def must(answer, status, form):
    """What was answered, if it was that."""
    assert answer.status_code == status, (answer.status_code, answer.content)
    assert isinstance(answer.parsed, form), (type(answer.parsed), answer.content)
    return answer.parsed


def refused(answer, status, code):
    problem = must(answer, status, Problem)
    assert problem.code == code, problem


def accounts(url):
    """Signs up and logs in; gives the number and a client with the token."""
    stranger = Client(base_url=url)
    made = must(create_user.sync_detailed(client=stranger, body=NewUser(name="Ann", password="correct horse")),
                201, UserWithToken)
    assert made.has_password and made.name == "Ann"
    same = must(login.sync_detailed(client=stranger, body=Login(name="Ann", password="correct horse")), 200, User)
    assert same.id == made.id
    refused(login.sync_detailed(client=Client(base_url=url), body=Login(name="Ann", password="wrong horse")),
            401, "login_failed")
    return made.id, AuthenticatedClient(base_url=url, token=str(made.token))


def tasks(client, user):
    """Creates, waits, reads, lists, deletes."""
    made = create_task.sync_detailed(client=client, body=NewTask(tags=["mine"]), prefer="wait=20")
    task = must(made, 201, Task)
    assert task.status == "Completed" and task.owner == user and task.tags == ["mine"], task
    assert made.headers["location"] == f"/tasks/{task.id}"
    assert must(get_task.sync_detailed(task.id, client=client), 200, Task) == task
    assert task in must(list_tasks.sync_detailed(client=client, status="Completed", tag="mine"), 200, list)
    refused(create_task.sync_detailed(client=client, body=NewTask(kind="no_such")), 422, "unknown_kind")
    assert delete_task.sync_detailed(task.id, client=client).status_code == 204
    refused(get_task.sync_detailed(task.id, client=client), 404, "task_not_found")
    numbers = must(total_tasks_created.sync_detailed(client=client), 200, TasksCreated)
    assert numbers.by_user == 1 and numbers.total_tasks_created >= 1, numbers


def images(client, path):
    """Uploads, one and two; fetches, lists, deletes."""
    def file(name):
        with open(path, "rb") as picture:
            return File(io.BytesIO(picture.read()), name, "image/png")
    image = must(upload_images.sync_detailed(client=client, body=NewImages(file=[file("cat.png")]), prefer="wait=20"),
                 201, UploadedImage)
    assert image.original_name == "cat.png" and image.task.status == "Completed", image
    answer = fetch_image.sync_detailed(image.filename, client=client)
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png", answer
    assert answer.parsed.payload.read().startswith(b"\x89PNG")
    small = fetch_image.sync_detailed(image.filename, client=client, w=320, h=320, format_="jpeg")
    assert small.content.startswith(b"\xff\xd8\xff"), small
    two = must(upload_images.sync_detailed(client=client, body=NewImages(file=[file("a.png"), file("b.png")]),
                                           prefer="wait=20"), 201, list)
    listed = must(list_images.sync_detailed(client=client), 200, list)
    assert all(isinstance(one, Image) for one in listed)
    assert {one.id for one in listed} == {image.id, *(one.id for one in two)}
    for one in [image, *two]:
        assert delete_image.sync_detailed(one.filename, client=client).status_code == 204
    refused(fetch_image.sync_detailed(image.filename, client=client), 404, "image_not_found")


def quiz(client):
    answer = fetch_questions.sync_detailed(client=client, body=NewQuestions(questions_num=3), prefer="wait=20")
    assert answer.status_code == 200, answer
    assert len(must(list_questions.sync_detailed(client=client), 200, list)) == 3


def counters(client, user):
    def said(**counters):
        new = NewStats()
        new.additional_properties.update(counters)
        return new
    must(set_stats.sync_detailed(user, client=client, body=said(wins=6, losses=2)), 200, Stats)
    must(add_to_stats.sync_detailed(user, client=client, body=said(wins=1)), 200, Stats)
    stats = must(get_stats.sync_detailed(user, client=client), 200, Stats)
    assert stats.counters.to_dict() == {"wins": 7, "losses": 2}, stats


def reports(client, user):
    ordered = must(create_report.sync_detailed(user, client=client, body=NewReport(language="ru"), prefer="wait=30"),
                   201, Report)
    pdf = fetch_report.sync_detailed(str(ordered.id), client=client)
    assert pdf.status_code == 200 and pdf.parsed.payload.read().startswith(b"%PDF-"), pdf


def main(url, picture):
    user, client = accounts(url)
    tasks(client, user)
    images(client, picture)
    quiz(client)
    counters(client, user)
    reports(client, user)
    assert delete_user.sync_detailed(user, client=client).status_code == 204
    refused(get_user.sync_detailed(user, client=Client(base_url=url)), 404, "user_not_found")
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
