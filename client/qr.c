/*
 * libqrencode makes the symbol; half blocks put two of its rows into one line
 * of text. The colours are set, so that it is dark on light in a dark
 * terminal too: scanners want that.
 */
#include "client/qr.h"

#include <errno.h>
#include <qrencode.h>
#include <stdbool.h>

#define QR_MARGIN 2

#define QR_ON "\033[30;47m"
#define QR_OFF "\033[0m"

static bool is_dark(const QRcode *code, int x, int y)
{
    if (x < 0 || y < 0 || x >= code->width || y >= code->width) {
        return false;
    }
    return (code->data[y * code->width + x] & 1) != 0;
}

/* What shows the pixel |upper| above the pixel |lower|. */
static const char *half_blocks(bool upper, bool lower)
{
    static const char *const glyphs[2][2] = {
        { " ", "\u2584" },
        { "\u2580", "\u2588" },
    };

    return glyphs[upper ? 1 : 0][lower ? 1 : 0];
}

enum err qr_print(const char *text, FILE *out)
{
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    int end;

    if (code == NULL) {
        return errno == ENOMEM ? ERR_NOMEM : ERR_LIMIT;
    }
    end = code->width + QR_MARGIN;
    for (int y = -QR_MARGIN; y < end; y += 2) {
        fputs("  " QR_ON, out);
        for (int x = -QR_MARGIN; x < end; x++) {
            fputs(half_blocks(is_dark(code, x, y), is_dark(code, x, y + 1)),
                  out);
        }
        fputs(QR_OFF "\n", out);
    }
    QRcode_free(code);
    return ERR_OK;
}
