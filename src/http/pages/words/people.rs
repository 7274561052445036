//! What the pages of users say: sign-up, login, profiles.

words! {
    /// Signing up and logging in.
    EntryWords {
        sign_up: "Sign up" => "Регистрация";
        sign_up_lead: "With an account your images, recordings, tasks and reports are yours alone to see and remove." => "С учётной записью ваши изображения, записи, задачи и отчёты видите и удаляете только вы.";
        name: "Name" => "Имя";
        name_hint: "What others call you; a name or an e-mail is needed." => "Как вас называть; нужно имя или адрес почты.";
        email: "E-mail" => "Адрес почты";
        email_hint: "Only you and whoever runs the service see it." => "Его видите только вы и тот, кто управляет сервисом.";
        password: "Password" => "Пароль";
        password_hint: "At least 8 characters." => "Не меньше 8 знаков.";
        make: "Create the account" => "Создать учётную запись";
        have_one: "You have an account?" => "Уже есть учётная запись?";
        have_none: "No account yet?" => "Ещё нет учётной записи?";
        log_in: "Log in" => "Войти";
        login_lead: "With the name, the e-mail or the number that you signed up with." => "По имени, адресу почты или номеру, с которыми вы регистрировались.";
        who: "Name, e-mail or number" => "Имя, адрес почты или номер";
        made: "Your account is made" => "Учётная запись создана";
        made_lead: "You are user {}, and logged in." => "Вы пользователь {}, вход выполнен.";
        token: "Your token" => "Ваш токен";
        token_text: "Programs prove by it that they come from you. It is shown this once: keep it where you keep passwords. A new one can be made in the profile." => "Им программы доказывают, что действуют от вашего имени. Он показан один раз: сохраните его там, где храните пароли. Новый можно сделать в профиле.";
        copy: "Copy" => "Копировать";
        copied: "Copied" => "Скопировано";
        go_on: "Go on" => "Продолжить";
    }
}

words! {
    /// One's own profile, and those of others.
    ProfileWords {
        title: "Profile" => "Профиль";
        saved: "Saved." => "Сохранено.";
        picture: "Picture" => "Портрет";
        picture_of: "Picture of {}" => "Портрет: {}";
        picture_hint: "{}, up to {}. What is kept is a small square of it." => "{}, до {}. Хранится маленький квадрат из него.";
        choose_picture: "Another picture" => "Другой портрет";
        set_picture: "Use this picture" => "Поставить портрет";
        drop_picture: "Remove the picture" => "Убрать портрет";
        about: "About you" => "О вас";
        name: "Name" => "Имя";
        email: "E-mail" => "Адрес почты";
        gender: "Gender" => "Пол";
        gender_hint: "In your own words, or nothing." => "Своими словами или ничего.";
        save: "Save" => "Сохранить";
        password: "Password" => "Пароль";
        current_password: "Password as it is" => "Нынешний пароль";
        new_password: "New password" => "Новый пароль";
        new_password_hint: "At least 8 characters. Everywhere else you are logged out." => "Не меньше 8 знаков. Во всех других местах вход прекратится.";
        change_password: "Change the password" => "Сменить пароль";
        no_password: "You have no password yet." => "Пароля у вас пока нет.";
        token: "Token" => "Токен";
        token_hint: "Programs that have the old one are refused from then on." => "Программам со старым токеном с этого момента будет отказано.";
        renew: "Make a new token" => "Сделать новый токен";
        counters: "Counters" => "Счётчики";
        no_counters: "There are none yet. Programs set them, and the report draws them." => "Пока их нет. Их ставят программы, а отчёт рисует.";
        counter: "Counter" => "Счётчик";
        value: "Value" => "Значение";
        report: "My report" => "Мой отчёт";
        report_hint: "A PDF with your profile, counters, work and files. Whoever has its link can read it." => "PDF с вашим профилем, счётчиками, работой и файлами. Прочесть его может каждый, у кого есть ссылка.";
        days: "Days" => "Дней";
        report_language: "Language" => "Язык";
        english: "English" => "English";
        russian: "Русский" => "Русский";
        contact: "With my e-mail on it" => "С моим адресом почты";
        make_report: "Make my report" => "Составить мой отчёт";
        delete: "Delete the account" => "Удалить учётную запись";
        delete_hint: "With it go all your images, recordings, tasks and reports. There is no way back." => "Вместе с ней исчезнут все ваши изображения, записи, задачи и отчёты. Вернуть их нельзя.";
        delete_sure: "I want everything of mine deleted" => "Я хочу удалить всё своё";
        since: "Here since" => "С нами с";
        role: "Role" => "Роль";
        role_user: "user" => "пользователь";
        role_admin: "administrator" => "администратор";
        number: "Number" => "Номер";
        edit: "Edit my profile" => "Изменить мой профиль";
        not_sure: "Tick the box to say that you are sure." => "Поставьте отметку, что вы уверены.";
    }
}
