#!/usr/bin/env python3
"""A report like ours, drawn with ReportLab: a head, cards, four line charts, a bar chart, two tables, two fonts of ours.

Prints the median CPU seconds of a report, its bytes, and the peak memory of the process in kB after a hundred.
"""

import io
import resource
import statistics
import sys
import time

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen import canvas
from reportlab.platypus import Table, TableStyle

ROUNDS = 100
WIDTH, HEIGHT = A4
INK, MUTED, PALE, ACCENT = (HexColor(c) for c in ("#1b2733", "#5a6978", "#f3f6f9", "#1d5f9e"))


def foot(page, number):
    page.setFont("Text", 7.5)
    page.setFillColor(MUTED)
    page.drawString(54, 54, "Составлен 19 июля 2026, 18:30 (Europe/Moscow, UTC+3)")
    page.drawRightString(WIDTH - 54, 54, f"Страница {number} из 3")


def chart(page, x, y, width, height, points):
    page.setStrokeColor(ACCENT)
    path = page.beginPath()
    most = max(points)
    for index, point in enumerate(points):
        at = (x + width * index / (len(points) - 1), y + height * point / most)
        (path.moveTo if index == 0 else path.lineTo)(*at)
    page.drawPath(path)
    page.setFont("Text", 6.8)
    for tick in range(5):
        page.drawRightString(x - 5, y + height * tick / 4, str(most * tick // 4))
        page.line(x, y + height * tick / 4, x + width, y + height * tick / 4)


def head(page):
    page.setFillColor(HexColor("#153457"))
    page.rect(0, HEIGHT - 108, WIDTH, 108, stroke=0, fill=1)
    page.setFillColor(HexColor("#ffffff"))
    page.setFont("Bold", 21)
    page.drawString(158, HEIGHT - 90, "Отчёт об активности")
    page.setFillColor(ACCENT)
    page.circle(96, HEIGHT - 108, 42, stroke=0, fill=1)
    page.setFillColor(INK)
    page.setFont("Bold", 17)
    page.drawString(158, HEIGHT - 134, "Анна Сергеевна Кузнецова")
    for index, (label, value) in enumerate([("Сессии", "1284"), ("Победы", "614"), ("Поражения", "388"), ("Время", "10 д")]):
        x = 54 + index * 124
        page.setFillColor(PALE)
        page.roundRect(x, HEIGHT - 280, 114, 62, 4, stroke=0, fill=1)
        page.setFillColor(INK)
        page.setFont("Text", 8)
        page.drawString(x + 10, HEIGHT - 235, label)
        page.setFont("Bold", 17)
        page.drawString(x + 10, HEIGHT - 258, value)


def table(page, rows, y):
    drawn = Table(rows, rowHeights=17)
    drawn.setStyle(TableStyle([
        ("FONT", (0, 0), (-1, -1), "Text", 7.6),
        ("FONT", (0, 0), (-1, 0), "Bold", 7.5),
        ("ROWBACKGROUNDS", (0, 1), (-1, -1), [HexColor("#ffffff"), PALE]),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, INK),
    ]))
    width, height = drawn.wrapOn(page, WIDTH - 108, HEIGHT)
    drawn.drawOn(page, 54, y - height)


def draw():
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=A4)
    page.setTitle("Отчёт об активности")
    head(page)
    for index in range(4):
        points = [400 + index * 7 + day * 9 for day in range(90)]
        chart(page, 94 + index % 2 * 256, HEIGHT - 430 - index // 2 * 150, 190, 78, points)
    foot(page, 1)
    page.showPage()
    for day in range(60):
        for part, colour in enumerate(("#0072b2", "#d55e00", "#a9b4bf")):
            page.setFillColor(HexColor(colour))
            page.rect(88 + day * 7.5, HEIGHT - 260 + part * 30, 5.4, 30 - day % 9, stroke=0, fill=1)
    kinds = [["Вид", "Выполнено", "С ошибкой", "Отменено", "Всего"]]
    kinds += [[kind, "1204", "38", "12", "1255"] for kind in ("transcode", "image", "quiz", "report", "noop")]
    table(page, kinds, HEIGHT - 320)
    foot(page, 2)
    page.showPage()
    rows = [["№", "Вид", "Состояние", "Создана", "Длилась", "Попытка", "Примечание"]]
    rows += [[str(100000 - 3 * row), "transcode", "Выполнена", "19.07.2026 14:25", "8 мин 28 с", "1",
              "holiday recording.wav"] for row in range(40)]
    table(page, rows, HEIGHT - 60)
    foot(page, 3)
    page.showPage()
    page.save()
    return out.getvalue()


def main():
    fonts = sys.argv[1]
    pdfmetrics.registerFont(TTFont("Text", f"{fonts}/NotoSans-Regular.ttf"))
    pdfmetrics.registerFont(TTFont("Bold", f"{fonts}/NotoSans-Bold.ttf"))
    spans = []
    for _ in range(ROUNDS):
        began = time.process_time()
        drawn = draw()
        spans.append(time.process_time() - began)
    print(statistics.median(spans), len(drawn), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main()
