//! What stands around every page, and on the first one.

words! {
    /// Around every page.
    FrameWords {
        skip: "Skip to the content" => "Перейти к содержанию";
        navigation: "Main" => "Основное";
        account: "Account" => "Учётная запись";
        home: "Home" => "Главная";
        upload: "Upload" => "Загрузить";
        images: "Images" => "Изображения";
        records: "Recordings" => "Записи";
        quiz: "Questions" => "Вопросы";
        tasks: "Tasks" => "Задачи";
        admin: "Administration" => "Управление";
        profile: "Profile" => "Профиль";
        log_in: "Log in" => "Войти";
        log_out: "Log out" => "Выйти";
        sign_up: "Sign up" => "Регистрация";
        other_language: "Русский" => "English";
        language: "Language" => "Язык";
        theme: "Colours" => "Цвета";
        light: "Light" => "Светлые";
        dark: "Dark" => "Тёмные";
        auto: "As the system" => "Как в системе";
        api: "API" => "API";
        next: "Next" => "Дальше";
        first: "To the first page" => "В начало";
        pages: "Pages" => "Страницы";
        operator: "Operator" => "Оператор";
        user: "User {}" => "Пользователь {}";
    }
}

words! {
    /// Before something is removed.
    ConfirmWords {
        image: "Delete this image?" => "Удалить это изображение?";
        recording: "Delete this recording?" => "Удалить эту запись?";
        task: "Delete task {}?" => "Удалить задачу {}?";
        task_hint: "With it go its result and its files. There is no way back." => "Вместе с ней исчезнут её результат и файлы. Вернуть их нельзя.";
        yes: "Yes, delete" => "Да, удалить";
        no: "No, go back" => "Нет, вернуться";
    }
}

words! {
    /// On the first page.
    HomeWords {
        title: "Welcome" => "Добро пожаловать";
        lead: "Gristmill keeps images, turns recordings into MP3, asks questions and makes reports. Whatever it accepts, it finishes, even when its machine goes down in between."
            => "Gristmill хранит изображения, превращает записи в MP3, задаёт вопросы и составляет отчёты. Что принято, то будет доведено до конца, даже если машина в это время откажет.";
        images: "Images" => "Изображения";
        images_text: "Upload pictures and get direct links to them, for a blog, a forum or a friend. Where a photo was taken is removed from it."
            => "Загрузите картинки и получите прямые ссылки на них: для блога, форума или друзей. Место съёмки из фотографии удаляется.";
        images_limit: "{}, up to {} each." => "{}, до {} каждая.";
        upload: "Upload images" => "Загрузить изображения";
        gallery: "See the gallery" => "Открыть галерею";
        records: "Recordings" => "Записи";
        records_text: "Send a WAV, or record in the browser, and fetch an MP3." => "Отправьте WAV или запишите звук прямо в браузере и получите MP3.";
        records_limit: "WAV up to {}." => "WAV до {}.";
        to_records: "To the recordings" => "К записям";
        quiz: "Questions" => "Вопросы";
        quiz_text: "Questions for a quiz, none of them twice." => "Вопросы для викторины, ни один не повторится.";
        to_quiz: "Ask me" => "Спросите меня";
        more: "And besides" => "А ещё";
        tasks_text: "Every one of these is a task that can be watched, cancelled and tried again:" => "Всё это задачи, за которыми можно следить, которые можно отменить и повторить:";
        to_tasks: "My tasks" => "Мои задачи";
        report_text: "A report in PDF about what you do here:" => "Отчёт в PDF о том, что вы здесь делаете:";
        to_report: "Profile and report" => "Профиль и отчёт";
        api_text: "Programs have the same by HTTP and RabbitMQ:" => "Программам доступно то же самое по HTTP и через RabbitMQ:";
        to_api: "The API" => "Описание API";
        closed: "To use it, log in or sign up." => "Чтобы пользоваться, войдите или зарегистрируйтесь.";
    }
}

words! {
    /// Around the API's document, which is in English.
    ApiWords {
        title: "The API" => "Описание API";
        lead: "Every route, with what it takes and answers. Each can be tried out here, as whoever is logged in or with a token." => "Все адреса, что они принимают и что отвечают, по-английски. Каждый можно испытать прямо здесь: от имени вошедшего или с ключом.";
        document: "The same for programs" => "То же для программ";
        routes: "Routes" => "Адреса";
        needs_script: "This page needs JavaScript." => "Этой странице нужен JavaScript.";
    }
}
