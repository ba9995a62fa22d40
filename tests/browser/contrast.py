"""Have axe judge the contrast of each look once, instead of on every page that has it.

Contrast takes most of the time of axe, and pages are built of the same parts. What axe sees of a
text are its colors, its font and what lies behind it, which is what all its ancestors look like.
"""

# Marks the texts of known looks, and returns how many have a new one.
MARK_KNOWN = """() => {
    const known = new Set(JSON.parse(localStorage.knownLooks ?? "[]"));
    const looks = new Map(), news = window.newLooks = new Map();
    const digest = text => {
        let [a, b] = [0xdeadbeef, 0x41c6ce57];
        for (let i = 0; i < text.length; i++) {
            a = Math.imul(a ^ text.charCodeAt(i), 2654435761);
            b = Math.imul(b ^ text.charCodeAt(i), 1597334677);
        }
        return (a >>> 0).toString(36) + (b >>> 0).toString(36);
    };
    const textOf = element => "value" in element
        // Of a progress bar and of an item of a list it is a number.
        ? String(element.value || element.placeholder || "")
        : [...element.childNodes].map(node => node.nodeType == 3 ? node.data : "").join("");
    for (const element of document.querySelectorAll("html, body, body *")) {
        delete element.dataset.knownLook;
        const outer = element.parentElement;
        if (outer && !looks.has(outer) || !element.checkVisibility()) continue;
        const style = getComputedStyle(element);
        // Only such an element covers others than its own ancestors.
        const lies_over = ["absolute", "fixed", "sticky"].includes(style.position);
        const look = digest([
            looks.get(outer), element.localName, element.type, style.color, style.backgroundColor,
            style.backgroundImage, style.opacity, style.fontSize, style.fontWeight,
            style.textShadow, style.filter, style.visibility,
            element.disabled || element.ariaDisabled, element.control?.disabled,
            lies_over && Object.values(element.getBoundingClientRect().toJSON()),
        ].join());
        looks.set(element, look);
        const text = textOf(element).trim();
        // Axe judges no text of one letter, and none of signs alone.
        if (!/[\\p{L}\\p{N}].*[\\p{L}\\p{N}]/su.test(text)) continue;
        if (known.has(look) || known.has(`${look} ${text}`)) element.dataset.knownLook = "";
        else news.set(element, [look, `${look} ${text}`]);
    }
    return news.size;
}"""
# Keeps the new looks. Where axe could not say what lies behind a text, only the same text is known.
KEEP_NEW = """incomplete => {
    const doubtful = new Set(
        incomplete.filter(rule => rule.id == "color-contrast")
            .flatMap(rule => rule.nodes.map(node => window.newLooks.get(node.element)?.[0]))
    );
    const judged = [...window.newLooks.values()].map(
        ([look, with_text]) => doubtful.has(look) ? with_text : look
    );
    const known = JSON.parse(localStorage.knownLooks ?? "[]");
    localStorage.knownLooks = JSON.stringify([...new Set([...known, ...judged])]);
}"""
