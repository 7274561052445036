//! What the pages of recordings and questions say.

words! {
    /// Recordings: the list, sending and making one, the player.
    RecordWords {
        title: "Recordings" => "Записи";
        lead: "Send a WAV and get an MP3, or record one here." => "Отправьте WAV и получите MP3 или запишите звук прямо здесь.";
        file: "WAV file" => "Файл WAV";
        limit: "Up to {}: PCM, float, A-law or mu-law." => "До {}: PCM, float, A-law или mu-law.";
        send: "Convert to MP3" => "Преобразовать в MP3";
        sending: "is sent: {}%" => "отправляется: {}%";
        broken: "The connection broke. Try it again." => "Связь прервалась. Попробуйте ещё раз.";
        too_large: "Larger than {}." => "Больше {}.";
        record: "Record" => "Запись с микрофона";
        record_start: "Begin to record" => "Начать запись";
        record_stop: "Stop and convert" => "Остановить и преобразовать";
        record_drop: "Throw away" => "Выбросить";
        recording: "Recording" => "Идёт запись";
        full: "It got as large as may be sent, and ended there." => "Запись достигла наибольшего размера и на этом закончена.";
        again: "Send again" => "Отправить снова";
        level: "Level" => "Уровень";
        refused: "The microphone cannot be used: allow it for this page. Browsers give it only to pages that came over HTTPS or from this machine." => "Микрофон недоступен: разрешите его этой странице. Браузеры дают его только страницам по HTTPS или с этой же машины.";
        needs_script: "To record in the browser, scripts must be allowed." => "Чтобы записывать в браузере, нужно разрешить скрипты.";
        own: "Your recordings, the newest first." => "Ваши записи, сначала новые.";
        all: "The recordings of everybody, the newest first." => "Записи всех пользователей, сначала новые.";
        empty: "There is nothing here yet." => "Здесь пока ничего нет.";
        name: "File name" => "Имя файла";
        length: "Length" => "Длительность";
        status: "Status" => "Состояние";
        sent: "Sent" => "Отправлена";
        deleted: "The recording is deleted." => "Запись удалена.";
        progress: "Progress of the conversion" => "Ход преобразования";
        player: "Player" => "Проигрыватель";
        wave: "How loud it is over time" => "Громкость по времени";
        download: "Download the MP3" => "Скачать MP3";
        download_wav: "Download the original" => "Скачать исходный файл";
        link: "Link to the MP3" => "Ссылка на MP3";
        link_hint: "Whoever has it can fetch the recording." => "Кто её знает, может скачать запись.";
        copy: "Copy" => "Копировать";
        copied: "Copied" => "Скопировано";
        size: "Size" => "Размер";
        notes: "What was done to it" => "Что с ней сделано";
        owner: "Owner" => "Владелец";
        task: "Task" => "Задача";
        retry: "Try again" => "Повторить";
        delete: "Delete" => "Удалить";
        delete_hint: "The link leads nowhere from then on." => "Ссылка на неё перестанет действовать.";
        why: "Why there is no MP3" => "Почему нет MP3";
    }
}

words! {
    /// Questions.
    QuizWords {
        title: "Questions" => "Вопросы";
        lead: "Questions for a quiz. Each is fetched once and never again." => "Вопросы для викторины. Каждый приходит один раз и больше не повторяется.";
        how_many: "How many new ones?" => "Сколько новых?";
        limit: "From 1 to {}." => "От 1 до {}.";
        fetch: "Fetch new questions" => "Получить новые вопросы";
        fetching: "They are being fetched." => "Вопросы запрошены.";
        fetching_task: "The task that fetches them" => "Задача, которая их получает";
        question: "Question {}" => "Вопрос {}";
        choices: "One of these is right:" => "Один из ответов верный:";
        reveal: "Show the answer" => "Показать ответ";
        next: "Next question" => "Следующий вопрос";
        first: "From the newest again" => "Снова с самого нового";
        category: "Category: {}" => "Тема: {}";
        value: "worth {}" => "стоимость {}";
        difficulty: "difficulty: {}" => "сложность: {}";
        source: "Source: {}" => "Источник: {}";
        licence: "licence {}" => "лицензия {}";
        empty: "There are no questions yet: fetch some." => "Вопросов пока нет: получите их.";
        last: "That was the last one." => "Это был последний.";
    }
}
