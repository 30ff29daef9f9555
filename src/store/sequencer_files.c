/* sequencer_files.c: the end of writing, when the files of the log are taken away under it.
 *
 * Somebody moves the directory, deletes it, or puts a backup in its place. The
 * batch that meets it was committed to files that nobody may find again, or that
 * somebody has kept elsewhere: its outcome is not known. What comes later is
 * refused. Writing does not begin again by itself when the files are back: what
 * this process remembers of the log may not be what is in them by then. */
#include "store/sequencer_int.h"

ex_status sequencer_check_files(sequencer *q, ex_status st, bool has_written, ex_error *err)
{
    ex_store *s = q->store;
    const store_files_ops *files = s->driver.ops->files;
    ex_error why = {0};
    if (!files)
        return st;
    if (files->check(s->driver.impl, &why) == EX_OK && q->is_behind && st)
        why = *err; /* written over in place, and the engine went along with it */
    if (!why.status)
        return st;
    (void)ex_error_context(&why, why.status,
                           "nothing more is written until the store is opened anew");
    write_state_end(&s->writes, &why);
    if (s->options.on_write_end)
        s->options.on_write_end(s->options.write_end_ctx, &why);
    if (st)
        return st;
    return ex_raise(err, has_written ? EX_EOUTCOME : EX_ESTORAGE, "%s", why.message);
}
