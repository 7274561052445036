//! What the pages of tasks and reports say.

words! {
    /// Lists of tasks, and one of them.
    TaskWords {
        title: "Tasks" => "Задачи";
        own: "Your tasks, the newest first." => "Ваши задачи, сначала новые.";
        all: "The tasks of everybody, the newest first." => "Задачи всех пользователей, сначала новые.";
        nobodys: "Tasks that nobody owns, the newest first." => "Задачи без владельца, сначала новые.";
        filters: "Filter" => "Отбор";
        status: "Status" => "Состояние";
        any: "any" => "любое";
        kind: "Kind" => "Вид";
        tag: "Tag" => "Метка";
        show: "Show" => "Показать";
        number: "No." => "№";
        created: "Created" => "Создана";
        progress: "Progress" => "Ход";
        actions: "Actions" => "Действия";
        empty: "There are no such tasks." => "Таких задач нет.";
        task: "Task {}" => "Задача {}";
        cancel: "Cancel" => "Отменить";
        retry: "Try again" => "Повторить";
        delete: "Delete" => "Удалить";
        cancel_one: "Cancel task {}" => "Отменить задачу {}";
        retry_one: "Try again: task {}" => "Повторить задачу {}";
        delete_one: "Delete task {}" => "Удалить задачу {}";
        facts: "Facts" => "Сведения";
        owner: "Owner" => "Владелец";
        assignee: "In the hands of" => "У кого";
        priority: "Priority" => "Срочность";
        attempt: "Attempt" => "Попытка";
        attempt_of: "{} of at most {} tries" => "{}, попыток не больше {}";
        failures: "Failed tries" => "Неудачных попыток";
        crashes: "Workers lost" => "Потеряно исполнителей";
        run_at: "Not before" => "Не раньше";
        started: "Started" => "Начата";
        finished: "Ended" => "Закончена";
        took: "Took" => "Длилась";
        updated: "Changed" => "Изменена";
        expires: "Too late from" => "Опоздает с";
        tags: "Tags" => "Метки";
        unique_key: "Unique key" => "Ключ единственности";
        error: "Why the last try failed" => "Почему не удалась последняя попытка";
        payload: "Input" => "Входные данные";
        result: "Result" => "Результат";
        picture: "Its picture" => "Её картинка";
        events: "What happened" => "Что происходило";
        when: "When" => "Когда";
        what: "What" => "Что";
        none: "none" => "нет";
        cut: "Only the beginning is shown." => "Показано только начало.";
        event_created: "accepted" => "принята";
        event_started: "attempt {} started" => "попытка {} началась";
        event_progress: "{} % done" => "сделано {} %";
        event_completed: "completed" => "выполнена";
        event_failed: "failed: {}" => "не удалась: {}";
        event_retry_failed: "attempt {} failed: {}" => "попытка {} не удалась: {}";
        event_interrupted: "given back undone" => "возвращена несделанной";
        event_lost: "its worker died" => "исполнитель погиб";
        event_asked: "to be tried again, as asked" => "будет повторена по просьбе";
        event_cancelled: "cancelled" => "отменена";
        event_deleted: "deleted" => "удалена";
        next_try: "next try {}" => "следующая попытка {}";
        earlier: "Only the newest {} events are shown." => "Показаны только последние события: {}.";
        attempts: "Attempts" => "Попытки";
        ended: "How it ended" => "Чем кончилась";
        runs: "It has not ended." => "Ещё идёт.";
    }
}

words! {
    /// A report that is being made.
    ReportWords {
        title: "Your report is being made" => "Отчёт составляется";
        lead: "It opens here as soon as it is ready. You may close the page and come back by the same link." => "Он откроется здесь, как только будет готов. Страницу можно закрыть и вернуться по той же ссылке.";
        link: "Its link" => "Ссылка на него";
        copy: "Copy" => "Копировать";
        copied: "Copied" => "Скопировано";
        task: "The task that makes it" => "Задача, которая его составляет";
        again: "Look again" => "Проверить снова";
    }
}
