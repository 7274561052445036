//! What stands on the pages of those who run the daemon.

words! {
    /// Around every page of the administration.
    AdminWords {
        navigation: "Administration" => "Разделы управления";
        overview: "Overview" => "Обзор";
        tasks: "Tasks" => "Задачи";
        kinds: "Kinds" => "Виды";
        nodes: "Nodes" => "Узлы";
        users: "Users" => "Пользователи";
        images: "Images" => "Изображения";
        recordings: "Recordings" => "Записи";
        questions: "Questions" => "Вопросы";
        reports: "Reports" => "Отчёты";
        dead: "Dead letters" => "Недоставленные";
        storage: "Storage" => "Хранилище";
        search: "Search" => "Поиск";
        show: "Show" => "Показать";
        all: "Show all" => "Показать все";
        any: "any" => "любой";
        any_status: "any" => "любое";
        choose: "Choose" => "Выбор";
        back: "Back" => "Назад";
        no: "No, go back" => "Нет, вернуться";
        retry_chosen: "Retry the chosen" => "Повторить выбранные";
        delete_chosen: "Delete the chosen" => "Удалить выбранные";
        told_retried: "Made ready again: {}." => "Поставлено на повтор: {}.";
        told_cancelled: "Cancelled: {}." => "Отменено: {}.";
        told_deleted: "Deleted: {}." => "Удалено: {}.";
        told_sent_back: "Sent back: {}." => "Отправлено обратно: {}.";
        told_role: "The role was changed." => "Роль изменена.";
        told_paused: "The kind is paused." => "Вид приостановлен.";
        told_resumed: "The kind goes on." => "Вид снова выполняется.";
        told_nothing: "Nothing was chosen." => "Ничего не выбрано.";
        told_refused: "Not possible for {}." => "Невозможно для {}.";
        told_left: "Still there: {}; do the same again for more." => "Осталось: {}; чтобы продолжить, повторите.";
    }
}

words! {
    /// On the list of tasks.
    TaskWords {
        q: "Number or unique key" => "Номер или уникальный ключ";
        status: "Status" => "Состояние";
        kind: "Kind" => "Вид";
        tag: "Tag" => "Метка";
        owner: "Owner" => "Владелец";
        owner_hint: "number; 0 is nobody" => "номер; 0 — ничьи";
        from: "Accepted from (UTC)" => "Приняты с (UTC)";
        before: "Accepted before (UTC)" => "Приняты до (UTC)";
        chosen: "The chosen:" => "Выбранные:";
        matching: "All that match:" => "Все подходящие:";
        retry: "Retry" => "Повторить";
        cancel: "Cancel" => "Отменить";
        delete: "Delete" => "Удалить";
        retry_all: "Retry all" => "Повторить все";
        cancel_all: "Cancel all" => "Отменить все";
        delete_all: "Delete all" => "Удалить все";
        none: "There are no tasks." => "Задач нет.";
        none_matches: "No task matches." => "Ни одна задача не подходит.";
        number: "No." => "№";
        tries: "Tries" => "Попытки";
        accepted: "Accepted" => "Принята";
        took: "Took" => "Длилась";
        about: "Tags and error" => "Метки и ошибка";
        acts: "Actions" => "Действия";
        nobody: "nobody" => "никто";
        choose: "Choose task {}" => "Выбрать задачу {}";
    }
}

words! {
    /// Where much is done at once.
    BulkWords {
        task_one: "task" => "задачу";
        task_few: "tasks" => "задачи";
        task_many: "tasks" => "задач";
        image_one: "image" => "изображение";
        image_few: "images" => "изображения";
        image_many: "images" => "изображений";
        recording_one: "recording" => "запись";
        recording_few: "recordings" => "записи";
        recording_many: "recordings" => "записей";
        report_one: "report" => "отчёт";
        report_few: "reports" => "отчёта";
        report_many: "reports" => "отчётов";
        at_least: "at least {}" => "не менее {}";
        ask_retry: "Retry {} {}?" => "Повторить {} {}?";
        ask_cancel: "Cancel {} {}?" => "Отменить {} {}?";
        ask_delete: "Delete {} {}?" => "Удалить {} {}?";
        yes_retry: "Yes, retry" => "Да, повторить";
        yes_cancel: "Yes, cancel" => "Да, отменить";
        yes_delete: "Yes, delete" => "Да, удалить";
        delete_warning: "What runs is stopped, and all that belongs to it goes: files, results, events. There is no way back." => "Что выполняется, будет остановлено, и исчезнет всё, что к этому относится: файлы, результаты, события. Вернуть их нельзя.";
        retrying: "Retrying" => "Повтор";
        cancelling: "Cancelling" => "Отмена";
        deleting: "Deleting" => "Удаление";
        so_far: "{} of {} are done." => "Сделано {} из {}.";
        go_on: "Go on" => "Продолжить";
        stop: "Stop here" => "Остановиться";
        steps_text: "With scripts this goes on by itself, step by step, as long as this page is open; without them by the button. What is done stays done." => "Со скриптами работа продолжается сама, шаг за шагом, пока открыта эта страница; без них — по кнопке. Что сделано, то сделано.";
    }
}

words! {
    /// On the list of users.
    UserWords {
        q: "Number, e-mail, or part of the name" => "Номер, почта или часть имени";
        none: "There is no such user." => "Таких пользователей нет.";
        number: "No." => "№";
        name: "Name" => "Имя";
        email: "E-mail" => "Почта";
        role: "Role" => "Роль";
        admin: "admin" => "администратор";
        user: "user" => "пользователь";
        tasks: "Tasks ever made" => "Создано задач";
        images: "Images" => "Изображения";
        recordings: "Recordings" => "Записи";
        since: "Since" => "С какого времени";
        acts: "Actions" => "Действия";
        own: "you" => "это вы";
        make_admin: "Make admin" => "Сделать администратором";
        make_user: "Make user" => "Сделать пользователем";
        renew: "New token" => "Новый токен";
        delete: "Delete" => "Удалить";
        ask_token: "Make another token for {}?" => "Сделать другой токен для {}?";
        token_warning: "Programs that have the old one are refused from then on." => "Программам со старым токеном с этого момента будет отказано.";
        token: "The new token" => "Новый токен";
        token_lead: "The token of {}" => "Токен пользователя {}";
        token_text: "It is shown this once. Hand it over safely." => "Он показан один раз. Передайте его надёжным путём.";
        copy: "Copy" => "Скопировать";
        copied: "Copied" => "Скопировано";
        ask_delete: "Delete {} with all that is theirs?" => "Удалить {} и все данные этого пользователя?";
        delete_warning: "Their tasks, images, recordings, reports and counters go as well. There is no way back." => "Исчезнут и задачи, изображения, записи, отчёты и счётчики этого пользователя. Вернуть их нельзя.";
    }
}

words! {
    /// On the lists of images, recordings, questions and reports.
    ListWords {
        none: "There is nothing here." => "Здесь ничего нет.";
        nobody: "nobody" => "никто";
        owner: "Owner" => "Владелец";
        owner_hint: "number; 0 is nobody" => "номер; 0 — ничьи";
        status: "Status" => "Состояние";
        bytes: "Size" => "Размер";
        task: "Task" => "Задача";
        uploaded: "Came" => "Получено";
        file: "File" => "Файл";
        image: "Image" => "Изображение";
        format: "Format" => "Формат";
        pixels: "Pixels" => "Точки";
        original: "Original" => "Исходник";
        report: "Report" => "Отчёт";
        about: "About" => "О ком";
        ordered: "Ordered" => "Заказан";
        kept_until: "Kept until" => "Хранится до";
        words: "Words" => "Слова";
        source: "Source" => "Источник";
        number: "No." => "№";
        question: "Question" => "Вопрос";
        answer: "Answer" => "Ответ";
        category: "Category" => "Категория";
        value: "Value" => "Цена";
        saved: "Saved" => "Сохранён";
        choose_image: "Choose image {}" => "Выбрать изображение {}";
        choose_recording: "Choose recording {}" => "Выбрать запись {}";
        choose_report: "Choose report {}" => "Выбрать отчёт {}";
    }
}

words! {
    /// On the page of dead letters.
    DeadWords {
        lead: "Messages from the broker that were no tasks, whole, with the reason." => "Сообщения брокера, которые не были задачами: целиком и с причиной.";
        no_broker: "No broker is set (broker.url), so there are none." => "Брокер не задан (broker.url), поэтому их нет.";
        away: "The broker cannot be asked now. The messages are safe; look again in a moment." => "Брокера сейчас не спросить. Сообщения целы; посмотрите чуть позже.";
        empty: "There are none." => "Их нет.";
        failed: "This was not done." => "Это не сделано.";
        stopped: "Then it stopped; the others are still there." => "На этом работа остановилась; остальные на месте.";
        place: "Place" => "Место";
        id: "Message id" => "Имя сообщения";
        nameless: "without an id" => "без имени";
        reason: "Reason" => "Причина";
        since: "Since" => "С какого времени";
        bytes: "Size" => "Размер";
        body: "Body" => "Тело";
        headers: "Headers" => "Заголовки";
        correlation: "Correlation id" => "Имя для ответа";
        reply_to: "Reply to" => "Очередь для ответа";
        content_type: "Content type" => "Тип содержимого";
        cut: "Only the beginning is shown." => "Показано только начало.";
        one: "Dead letter" => "Недоставленное сообщение";
        choose: "Choose message {}: {}" => "Выбрать сообщение {}: {}";
        behind: "And {} more behind them." => "И ещё {} за ними.";
        redrive: "Send back" => "Отправить обратно";
        redrive_all: "Send all back" => "Отправить обратно все";
        purge: "Delete" => "Удалить";
        purge_all: "Delete all" => "Удалить все";
        ask_redrive: "Send {} {} back to the original queue?" => "Отправить {} {} обратно в исходную очередь?";
        ask_purge: "Delete {} {}?" => "Удалить {} {}?";
        purge_warning: "There is no way back." => "Отменить это нельзя.";
        message_one: "message" => "сообщение";
        message_few: "messages" => "сообщения";
        message_many: "messages" => "сообщений";
    }
}

words! {
    /// On the page of storage.
    StorageWords {
        what: "What" => "Что";
        count: "How many" => "Сколько";
        bytes: "Size" => "Размер";
        images: "Images" => "Изображения";
        originals: "Recordings as they came" => "Записи, как они пришли";
        mp3s: "MP3s" => "Файлы MP3";
        reports: "Reports" => "Отчёты";
        pictures: "Pictures of tasks" => "Картинки задач";
        avatars: "Avatars" => "Портреты";
        others: "In work, and the rest" => "В работе и прочее";
        blobs: "Stored, each once" => "Хранится, каждое один раз";
        once: "What is the same to the last byte is stored once, however many have it. These numbers may be some seconds old." => "Что совпадает до последнего байта, хранится один раз, у скольких бы оно ни было. Этим числам может быть несколько секунд.";
        disk: "Database and disk" => "База данных и диск";
        database: "Database" => "База данных";
        free: "Free on the disk of the data folder" => "Свободно на диске папки данных";
        of: "of" => "из";
        taken: "Taken" => "Занято";
        scarce: "nearly full" => "почти заполнен";
        unknown: "Not known:" => "Неизвестно:";
    }
}

words! {
    /// On charts of the last hour.
    LatelyWords {
        per_minute: "tasks a minute" => "задач в минуту";
        completed: "Completed" => "Выполнено";
        failed: "Failed" => "Не удалось";
        cancelled: "Cancelled" => "Отменено";
        half: "Half of them" => "Половина из них";
        most: "95 of 100" => "95 из 100";
        milliseconds: "ms" => "мс";
        seconds: "s" => "с";
        minutes: "min" => "мин";
    }
}

words! {
    /// On the first page of the administration.
    OverviewWords {
        waiting: "Waiting" => "Ожидают";
        oldest: "the oldest for {}" => "старейшая {}";
        running: "In progress" => "Выполняются";
        failed: "Failed" => "Не удались";
        failed_lately: "{} in the last hour" => "за последний час: {}";
        done: "Done" => "Выполнено";
        per_minute: "a minute, over the last five" => "в минуту, за последние пять";
        created: "Accepted" => "Принято";
        ever: "tasks ever" => "задач за всё время";
        paused: "Paused kinds" => "Приостановлено видов";
        database: "Database" => "База данных";
        database_more: "{}, answers in {} ms" => "{}, отвечает за {} мс";
        broker: "Broker" => "Брокер";
        none: "none" => "нет";
        no_broker: "not set" => "не задан";
        broker_away: "not to be reached" => "недоступен";
        dead: "dead letters: {}" => "недоставленных: {}";
        disk: "Free disk" => "Свободно на диске";
        disk_more: "of {}" => "из {}";
        unknown: "not known" => "неизвестно";
        lately: "The last hour" => "Последний час";
        no_numbers: "The database does not answer, so there are no numbers." => "База данных не отвечает, поэтому чисел нет.";
        throughput: "Done" => "Выполнено";
        waits: "Waited until started" => "Ожидание до начала";
        runs: "Took to run" => "Время выполнения";
        parts: "Parts of this node: {} of {} are up" => "Части этого узла: работают {} из {}";
        part: "Part" => "Часть";
        state: "State" => "Состояние";
        reason: "Reason" => "Причина";
        optional: "(may be away)" => "(не обязательна)";
        up: "up" => "работает";
        starting: "starting" => "запускается";
        restarting: "restarting" => "перезапускается";
        down: "down" => "не работает";
    }
}

words! {
    /// On the page of kinds.
    KindWords {
        lead: "A kind that is paused starts nothing more, on any node; what runs goes on, and what comes is accepted." => "Приостановленный вид больше ничего не начинает, ни на одном узле; что выполняется, продолжается, новое принимается.";
        kind: "Kind" => "Вид";
        outside: "outside" => "внешний";
        state: "State" => "Состояние";
        on: "on" => "включён";
        paused: "paused" => "приостановлен";
        waiting: "Waiting" => "Ожидают";
        parked: "Later" => "Позже";
        running: "In progress / at most here" => "Выполняются / здесь не более";
        of_limit: "{} / {}" => "{} / {}";
        oldest: "Oldest" => "Старейшая";
        rate_1: "Done/min, 1 min" => "В минуту, за 1 мин";
        rate_5: "5 min" => "за 5 мин";
        rate_60: "1 h" => "за 1 ч";
        failed: "Failed, 1 h" => "Не удались за 1 ч";
        waited: "Waited, half / 95%" => "Ожидание, половина / 95%";
        ran: "Took, half / 95%" => "Длительность, половина / 95%";
        acts: "Actions" => "Действия";
        pause: "Pause" => "Приостановить";
        resume: "Resume" => "Продолжить";
        lately: "The last hour" => "Последний час";
        idle: "Nothing happened in the last hour." => "За последний час ничего не произошло.";
        throughput: "Done" => "Выполнено";
        waits: "Waited until started" => "Ожидание до начала";
        runs: "Took to run" => "Время выполнения";
    }
}

words! {
    /// On the page of nodes.
    NodeWords {
        lead: "The processes that share the database. One that is gone stays here for a quarter of an hour." => "Процессы с общей базой данных. Ушедший остаётся здесь на четверть часа.";
        none: "No node has spoken yet." => "Пока не отозвался ни один узел.";
        since: "since" => "с";
        reported: "spoke last" => "последнее сообщение";
        busy: "What it runs" => "Что он выполняет";
        of: "{} of {}" => "{} из {}";
        parts: "Its parts" => "Его части";
        part: "Part" => "Часть";
        state: "State" => "Состояние";
        reason: "What is wrong" => "Что не так";
        restarts: "Restarts" => "Перезапуски";
        restarted: "The last restart" => "Последний перезапуск";
        optional: "(may be away)" => "(не обязательна)";
        ready: "ready" => "готов";
        degraded: "ready, lacks something" => "готов, но не полностью";
        draining: "draining" => "завершается";
        not_ready: "not ready" => "не готов";
        silent: "alive, has not spoken yet" => "жив, ещё не отозвался";
        gone: "ended" => "завершён";
        lost: "lost" => "потерян";
        up: "up" => "работает";
        starting: "starting" => "запускается";
        restarting: "restarting" => "перезапускается";
        down: "down" => "не работает";
    }
}
