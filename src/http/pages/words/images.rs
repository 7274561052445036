//! What the pages of images say.

words! {
    /// Uploading, the gallery, an image.
    ImageWords {
        upload: "Upload images" => "Загрузить изображения";
        lead: "Choose files, drop them anywhere on this page, or paste a picture." => "Выберите файлы, перетащите их в любое место этой страницы или вставьте картинку из буфера.";
        lead_plain: "Choose one or several files." => "Выберите один или несколько файлов.";
        limit: "{}, up to {} each, at most {} at once." => "{}, до {} каждый, не больше {} за раз.";
        privacy: "Where and when a photo was taken, and by which camera, is removed from it; what it looks like stays." => "Сведения о том, где, когда и чем снято, из фотографии удаляются; вид остаётся прежним.";
        tools: "From programs" => "Из программ";
        curl: "On the command line" => "В командной строке";
        sharex: "Settings for ShareX" => "Настройки для ShareX";
        tools_token: "Put your token where YOUR-TOKEN stands; the profile makes a new one." => "Вместо YOUR-TOKEN подставьте свой токен; новый можно сделать в профиле.";
        files: "Image files" => "Файлы изображений";
        send: "Upload" => "Загрузить";
        drop: "Drop the files here" => "Отпустите файлы здесь";
        uploaded: "Uploaded" => "Загружено";
        sending: "On their way" => "Отправляются";
        waiting: "waits" => "ждёт";
        working: "is being checked" => "проверяется";
        too_large: "Larger than {}." => "Больше {}.";
        no_connection: "The connection broke. Try it again." => "Связь прервалась. Попробуйте ещё раз.";
        again: "Try again" => "Ещё раз";
        dismiss: "Dismiss" => "Убрать";
        url: "Direct link" => "Прямая ссылка";
        markdown: "Markdown" => "Markdown";
        html: "HTML" => "HTML";
        bbcode: "BBCode" => "BBCode";
        delete_link: "Link to delete it" => "Ссылка для удаления";
        delete_link_hint: "Keep it: whoever has it can delete the image. It is shown this once." => "Сохраните её: кто её знает, может удалить изображение. Она показана один раз.";
        copy: "Copy" => "Копировать";
        copied: "Copied" => "Скопировано";
        page: "Its page" => "Страница изображения";
        gallery: "Images" => "Изображения";
        gallery_all: "All images of all users, the newest first." => "Все изображения всех пользователей, сначала новые.";
        gallery_own: "Your images, the newest first. Others see one only if they have its link." => "Ваши изображения, сначала новые. Другие увидят изображение, только если у них есть ссылка.";
        gallery_nobodys: "Images that nobody owns, the newest first." => "Изображения без владельца, сначала новые.";
        empty: "There is nothing here yet." => "Здесь пока ничего нет.";
        name: "File name" => "Имя файла";
        size: "Size" => "Размер";
        dimensions: "Dimensions" => "Размеры";
        pixels_one: "{} × {} pixels" => "{} × {} пиксель";
        pixels_few: "{} × {} pixels" => "{} × {} пикселя";
        pixels: "{} × {} pixels" => "{} × {} пикселей";
        frames: "Frames" => "Кадры";
        format: "Format" => "Формат";
        uploaded_at: "Uploaded" => "Загружено";
        owner: "Owner" => "Владелец";
        nobody: "nobody" => "никто";
        task: "Task" => "Задача";
        original: "Open the image itself" => "Открыть само изображение";
        links: "Links" => "Ссылки";
        delete: "Delete" => "Удалить";
        delete_image: "Delete the image" => "Удалить изображение";
        delete_hint: "Its links lead nowhere from then on." => "Ссылки на него перестанут действовать.";
        token: "Its delete token" => "Токен для удаления";
        not_ready: "It is still being checked." => "Оно ещё проверяется.";
        deleted: "The image is deleted." => "Изображение удалено.";
    }
}
