//! Problems in words for whoever sits before a browser: what each is called, and what to do now.
//!
//! Called by the page of a problem. The English titles are those of the catalogue. True here: a code without its words
//! does not compile.

use crate::http::catalogue::Code;
use crate::media::report::Language;

words! {
    /// Around a problem.
    ProblemWords {
        details: "What the daemon says" => "Что говорит сервис";
        allowed: "Allowed:" => "Допустимо:";
        task: "Task {}" => "Задача {}";
        log_in: "Log in" => "Войти";
        home: "To the first page" => "На главную";
        request: "request {}" => "запрос {}";
        wrong_password: "Wrong password" => "Пароль неверен";
        check_password: "Check the password as it is, and type it again." => "Проверьте нынешний пароль и введите его снова.";
        wrong_token: "Wrong token" => "Токен неверен";
        check_token: "Check the token: it is the one that the upload of this very image showed." => "Проверьте токен: его показали при загрузке именно этого изображения.";
    }
}

/// What the problem is called.
pub(in crate::http) fn title(language: Language, code: Code) -> &'static str {
    match language {
        Language::En => code.title(),
        Language::Ru => russian_title(code),
    }
}

/// What to do now.
pub(in crate::http) fn advice(language: Language, code: Code) -> &'static str {
    let (en, ru) = what_to_do(code);
    match language {
        Language::En => en,
        Language::Ru => ru,
    }
}

fn russian_title(code: Code) -> &'static str {
    match code {
        Code::InvalidJson => "Тело запроса не JSON",
        Code::InvalidParameter => "Параметр задан неверно",
        Code::InvalidForm => "Форма заполнена неверно",
        Code::IncompleteBody => "Данные пришли не полностью",
        Code::Unauthenticated => "Нужно войти",
        Code::InvalidToken => "Вход больше не действует",
        Code::LoginFailed => "Войти не удалось",
        Code::OtherUser => "Это данные другого пользователя",
        Code::Forbidden => "Вам это не разрешено",
        Code::CrossOrigin => "Запрос пришёл с чужого сайта",
        Code::NotFound => "Такой страницы нет",
        Code::TaskNotFound => "Такой задачи нет",
        Code::NoFreeTask => "Свободных задач нет",
        Code::RecordingNotFound => "Такой записи нет",
        Code::OriginalNotKept => "Исходный файл не сохранён",
        Code::UserNotFound => "Такого пользователя нет",
        Code::AvatarNotFound => "У пользователя нет портрета",
        Code::ImageNotFound => "Такого изображения нет",
        Code::ReportNotFound => "Такого отчёта нет",
        Code::MethodNotAllowed => "Так к этому адресу не обращаются",
        Code::RequestTimeout => "Данные идут слишком медленно",
        Code::StatusForbids => "Состояние задачи этого не допускает",
        Code::StaleAttempt => "Эта попытка уже закончилась",
        Code::NotHeld => "Задача в других руках",
        Code::NotForWorkers => "Такие задачи сервис делает сам",
        Code::UniqueTaken => "Такая задача уже есть",
        Code::EmailTaken => "Этот адрес уже занят",
        Code::RecordingFailed => "MP3 этой записи нет",
        Code::ImageFailed => "Изображение не принято",
        Code::ReportFailed => "Отчёт не составлен",
        Code::PreconditionFailed => "Файл уже не тот",
        Code::BodyTooLarge => "Данных слишком много",
        Code::RecordingTooLarge => "Запись слишком велика",
        Code::ImageTooLarge => "Изображение слишком велико",
        Code::UnsupportedMediaType => "Данные не того вида",
        Code::UnsupportedAudio => "Это не WAV, который можно прочесть",
        Code::UnsupportedImage => "Это не изображение принимаемого формата",
        Code::RangeNotSatisfiable => "Столько в файле нет",
        Code::ForeignHost => "Под этим именем сервис не известен",
        Code::InvalidBody => "Данные заполнены неверно",
        Code::KeyReused => "Ключ уже использован для другого запроса",
        Code::UnknownKind => "Такого вида задач нет",
        Code::KindNotDirect => "Такие задачи создаются иначе",
        Code::KindNotClaimable => "Такие задачи наружу не выдаются",
        Code::InvalidPayload => "Данные не подходят к виду задачи",
        Code::DamagedAudio => "Файл WAV повреждён или вне пределов",
        Code::ConversionFailed => "Запись не удалось преобразовать",
        Code::DamagedImage => "Изображение повреждено",
        Code::RateLimited => "Слишком часто",
        Code::QuotaExceeded => "Для вас больше нет места",
        Code::Internal => "Ошибка сервиса",
        Code::BlobDamaged => "Сохранённый файл повреждён",
        Code::UpstreamFailed => "Источник вопросов не помог",
        Code::QuizFailed => "Вопросы не получены",
        Code::Overloaded => "Сейчас слишком много работы",
        Code::QueueFull => "Очередь заполнена",
        Code::Interrupted => "Сервис был прерван",
        Code::DatabaseUnavailable => "База данных не отвечает",
        Code::BlobStoreUnavailable => "Хранилище файлов не отвечает",
        Code::UpstreamTimeout => "Источник вопросов не ответил вовремя",
        Code::StorageFull => "Место закончилось",
    }
}

/// In English and in Russian.
fn what_to_do(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::InvalidJson
        | Code::InvalidParameter
        | Code::InvalidForm
        | Code::InvalidBody
        | Code::InvalidPayload => (
            "Go back, correct what is named below, and send it again.",
            "Вернитесь, исправьте то, что названо ниже, и отправьте снова.",
        ),
        Code::IncompleteBody | Code::RequestTimeout => (
            "Nothing was kept. Check the connection, and send it again.",
            "Ничего не сохранено. Проверьте связь и отправьте снова.",
        ),
        Code::Unauthenticated | Code::InvalidToken => {
            ("Log in, and try it again.", "Войдите и попробуйте ещё раз.")
        }
        Code::LoginFailed => (
            "Check the name and the password. Which of the two is wrong is not told.",
            "Проверьте имя и пароль. Что из них неверно, не сообщается.",
        ),
        Code::OtherUser => (
            "Log out, and log in as the user whose data this is.",
            "Выйдите и войдите как тот пользователь, чьи это данные.",
        ),
        Code::Forbidden => {
            ("Only the owner and administrators may do this.", "Это могут только владелец и администраторы.")
        }
        Code::CrossOrigin => (
            "Open the page of this service itself, and do it there.",
            "Откройте страницу этого сервиса и сделайте это там.",
        ),
        Code::NotFound | Code::MethodNotAllowed => (
            "Check the address, or begin at the first page.",
            "Проверьте адрес или начните с главной страницы.",
        ),
        Code::TaskNotFound
        | Code::RecordingNotFound
        | Code::UserNotFound
        | Code::AvatarNotFound
        | Code::ImageNotFound => (
            "It was deleted, never was there, or is not yours to see.",
            "Оно удалено, никогда не существовало или принадлежит не вам.",
        ),
        Code::NoFreeTask => ("Ask again later.", "Спросите позже."),
        Code::OriginalNotKept => ("Fetch the MP3 instead.", "Скачайте MP3."),
        Code::ReportNotFound => (
            "Reports are kept for a time only. Order another one.",
            "Отчёты хранятся недолго. Закажите новый.",
        ),
        Code::StatusForbids => (
            "Look at the task as it is now: it may have ended in the meantime.",
            "Посмотрите, что с задачей сейчас: она могла уже закончиться.",
        ),
        Code::StaleAttempt | Code::NotHeld | Code::NotForWorkers | Code::KindNotClaimable => (
            "Somebody else has this task in hand. Take another one.",
            "Этой задачей занят кто-то другой. Возьмите другую.",
        ),
        Code::UniqueTaken => {
            ("Wait until the other task has ended.", "Подождите, пока закончится другая задача.")
        }
        Code::EmailTaken => {
            ("Log in with this e-mail, or give another one.", "Войдите с этим адресом или укажите другой.")
        }
        Code::RecordingFailed
        | Code::ImageFailed
        | Code::ReportFailed
        | Code::ConversionFailed
        | Code::QuizFailed => (
            "Try the task again; what stopped it stands below.",
            "Повторите задачу; что ей помешало, написано ниже.",
        ),
        Code::PreconditionFailed | Code::RangeNotSatisfiable => {
            ("Load the page anew.", "Загрузите страницу заново.")
        }
        Code::BodyTooLarge | Code::RecordingTooLarge | Code::ImageTooLarge => {
            ("Make it smaller, and send it again.", "Уменьшите и отправьте снова.")
        }
        Code::UnsupportedMediaType => {
            ("Send it with the form of the page.", "Отправьте через форму на странице.")
        }
        Code::UnsupportedAudio | Code::DamagedAudio => (
            "Save the recording as an ordinary WAV (PCM), and send it again.",
            "Сохраните запись как обычный WAV (PCM) и отправьте снова.",
        ),
        Code::UnsupportedImage | Code::DamagedImage => (
            "Open the picture in a program for pictures, save it anew in one of the formats that are taken, and send it again.",
            "Откройте картинку в графическом редакторе, сохраните её заново в одном из принимаемых форматов и отправьте снова.",
        ),
        Code::ForeignHost => (
            "Call the service by its own name; whoever runs it can add this one to its settings.",
            "Обратитесь к сервису по его имени; тот, кто им управляет, может добавить это имя в настройки.",
        ),
        Code::KeyReused => ("Send it again with another key.", "Отправьте снова с другим ключом."),
        Code::UnknownKind | Code::KindNotDirect => {
            ("Use the page that is made for it.", "Воспользуйтесь страницей, которая для этого сделана.")
        }
        Code::RateLimited => (
            "Nothing was done. Wait a moment, and try it again.",
            "Ничего не сделано. Подождите немного и попробуйте снова.",
        ),
        Code::QuotaExceeded => (
            "Nothing was kept. Delete something of yours first.",
            "Ничего не сохранено. Сначала удалите что-нибудь из своего.",
        ),
        Code::Internal | Code::BlobDamaged => (
            "Tell whoever runs the service, with the number of the request below.",
            "Сообщите тому, кто управляет сервисом, номер запроса, указанный ниже.",
        ),
        Code::UpstreamFailed | Code::UpstreamTimeout => (
            "What came is saved. Try the task again later for the rest.",
            "Что пришло, сохранено. Остальное можно получить, повторив задачу позже.",
        ),
        Code::Overloaded | Code::QueueFull | Code::DatabaseUnavailable | Code::BlobStoreUnavailable => {
            ("Try it again in a moment.", "Попробуйте ещё раз через минуту.")
        }
        Code::Interrupted => (
            "It may or may not have been done. Look, before you try it again.",
            "Возможно, это сделано, а возможно, нет. Посмотрите, прежде чем повторять.",
        ),
        Code::StorageFull => (
            "Nothing was kept. Remove what you do not need, or ask whoever runs the service to make room.",
            "Ничего не сохранено. Удалите ненужное или попросите того, кто управляет сервисом, освободить место.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_called_something_and_says_what_to_do() {
        for code in Code::ALL {
            for language in Language::ALL {
                let advice = advice(language, *code);
                assert!(advice.ends_with('.') && !title(language, *code).ends_with('.'), "{code:?}");
            }
            assert_ne!(title(Language::Ru, *code), title(Language::En, *code), "{code:?}");
        }
    }
}
