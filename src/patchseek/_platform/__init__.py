"""All that differs between Linux, macOS and Windows. No other file asks which system it is, nor imports what one lacks.

Each function does what it says on every system, or nothing where its docstring says so. Knows no pictures and no
collections, and needs nothing but Python, so that a small program can import it quickly. docs/platforms.md says what
holds where, and what has not been tried.
"""

from ._console import heed_break as heed_break
from ._console import output_encoding as output_encoding
from ._console import require_own_port as require_own_port
from ._endings import ended_by as ended_by
from ._endings import in_forks as in_forks
from ._endings import stop_overdue as stop_overdue
from ._limits import address_space_left as address_space_left
from ._limits import allow_open_files as allow_open_files
from ._limits import be_ended_first as be_ended_first
from ._limits import hold as hold
from ._limits import limit_for_good as limit_for_good
from ._limits import limit_work as limit_work
from ._limits import peak_memory as peak_memory
from ._limits import start_clock as start_clock
from ._limits import stop_clock as stop_clock
from ._locks import Lock as Lock
from ._locks import LockableFolder as LockableFolder
from ._paths import as_spelled as as_spelled
from ._paths import file_uri as file_uri
from ._paths import folded as folded
from ._paths import is_spelled_so as is_spelled_so
from ._paths import own_name as own_name
from ._paths import possible_name as possible_name
from ._replacing import discard as discard
from ._replacing import link as link
from ._replacing import put_first as put_first
from ._replacing import remove as remove
from ._replacing import rename as rename
from ._replacing import replace as replace
from ._replacing import sync_file as sync_file
from ._replacing import sync_folder as sync_folder
from ._replacing import temporary_folder as temporary_folder
from ._system import all_memory as all_memory
from ._system import cache_place as cache_place
from ._system import changed_ns as changed_ns
from ._system import has_proc as has_proc
from ._system import n_cores as n_cores
from ._system import opener as opener
from ._system import reading_flags as reading_flags
from ._system import user_name as user_name
