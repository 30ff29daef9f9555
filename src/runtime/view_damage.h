/* view_damage.h: a views.db that SQLite finds damaged.
 *
 * All in it comes from the log, so it keeps no server from starting: it goes aside as
 * views.db.damaged (in place of an earlier one) and is built anew. Damage that shows while it is in
 * use is noted by a file beside it, views.db.is-damaged: the next start sets it aside. */
#ifndef EXCORE_RUNTIME_VIEW_DAMAGE_H
#define EXCORE_RUNTIME_VIEW_DAMAGE_H

#include <excore/error.h>

#define VIEW_DAMAGE_ASIDE "views.db.damaged"

/** Note that a statement on views.db ended with `st`; only EX_ECORRUPT leaves a note.
 *  @param dir absolute, or a URL, or NULL. Thread: any. */
void view_damage_note(const char *dir, ex_status st);
/** Was there such a note when it was last in use? */
bool view_damage_is_noted(const char *dir);
/** Set views.db aside, with its WAL, and forget the note.
 *  @return EX_OK (also: there is none), EX_EFILESYSTEM */
EX_NODISCARD ex_status view_damage_set_aside(const char *dir, ex_error *err);

#endif
