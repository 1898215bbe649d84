/* json.h -- the few tokens of JSON a safetensors header has. */
#ifndef ROB_IO_JSON_H
#define ROB_IO_JSON_H

#include <stdbool.h>
#include <stdint.h>

typedef struct rob_json {
    const uint8_t *at, *end;
    char *text;           /* room for strings: as many bytes as the input has */
    const char *expected; /* first failure; NULL while all is well */
} rob_json;

/* All skip blanks before the token, return false for good after the first failure. */
bool rob_priv_json_mark(rob_json *j, char mark);       /* must be there */
bool rob_priv_json_if(rob_json *j, char mark);         /* eaten when there */
const char *rob_priv_json_string(rob_json *j);         /* unescaped; NULL on failure */
bool rob_priv_json_integer(rob_json *j, int64_t *out); /* 0 .. 2^53 */
bool rob_priv_json_end(rob_json *j);                   /* only blanks are left */

#endif
