// Mutant: one wrong line, chosen at run time. Only the build with ZABMQ_MUTANTS has any.
//
// ZABMQ_MUTANT(name) is the constant `false` in every other build. Where it stands, the line
// without it is the correct code. mutant_catalogue.hpp says what each mutant does and whose bug it
// repeats.
#pragma once

#ifdef ZABMQ_MUTANTS
#include "zabmq/mutant_catalogue.hpp"
#define ZABMQ_MUTANT(name) (::zabmq::mutants::chosen == ::zabmq::mutants::Id::name)
#else
#define ZABMQ_MUTANT(name) false
#endif
