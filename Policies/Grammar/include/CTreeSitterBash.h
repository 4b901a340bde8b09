// The grammar of bash. Its sources are fetched by .ci/grammar into upstream/, which is not part of this repository.
#ifndef CORDON_CTREESITTERBASH_H
#define CORDON_CTREESITTERBASH_H

typedef struct TSLanguage TSLanguage;

const TSLanguage *tree_sitter_bash(void);

#endif
