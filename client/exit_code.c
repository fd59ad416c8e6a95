/* One table: errors that are not a plain trouble. */
#include "client/exit_code.h"

#include <stddef.h>

int exit_code_of(enum err e)
{
    static const struct {
        enum err error;
        enum exit_code code;
    } table[] = {
        { ERR_OK, EXIT_OK },
        { ERR_SETTINGS, EXIT_USAGE },
        { ERR_REPLACED, EXIT_REPLACED },
        { ERR_AUTH, EXIT_REFUSED },
        { ERR_REVOKED, EXIT_REFUSED },
        { ERR_BINDING, EXIT_REFUSED },
        { ERR_NAME_TAKEN, EXIT_REFUSED },
        { ERR_NAME_BAD, EXIT_REFUSED },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].error == e) {
            return (int)table[i].code;
        }
    }
    return EXIT_TROUBLE;
}
