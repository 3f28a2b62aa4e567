"""What the two dialects can say: at least one schedule for every feature of each."""

from __future__ import annotations

from typing import Final

CRON: Final = (
    # stars, steps, lists, ranges
    "* * * * *", "*/5 * * * *", "*/7 * * * *", "3-59/10 * * * *", "10/20 * * * *",
    "0,20,40 * * * *", "7,5,7 3 * * *", "0-9,50-55/2 6 * * *", "15 */6 * * *", "15 1/5 * * *",
    "30 8-18/2 * * *",
    "05 09 * * *", "59 23 * * *", "0 0 * * *", "* 12 * * *", "*,5 4 * * *", "5,* 4 * * *",
    "0/59 0 * * *", "0,30 9,17 * * *", "*/61 5 * * *",
    # ranges that go round
    "0 22-2 * * *", "50-10/5 * * * *", "0 23-0 * * *", "0 20-4/3 * * *", "0 0 29-2 * *",
    "0 0 1 11-2 *", "0 0 1 nov-feb/2 *", "0 9 * * fri-mon", "0 9 * * 5-1/2", "0 9 * * sat-sun",
    # weekdays, of which Sunday is both 0 and 7
    "0 9 * * 0", "0 9 * * 7", "0 9 * * 1", "0 9 * * 1-5", "0 9 * * 5-7", "0 9 * * 0-7",
    "0 9 * * 7-2", "0 9 * * 0-6/2", "0 9 * * 1-7/2", "0 9 * * */2", "0 9 * * 2/3", "0 9 * * 0,7",
    "0 9 * * SUN", "0 9 * * Mon-Fri", "0 9 * * mon,WED,fri", "0 9 * * tue-thu/2",
    # months
    "0 9 1 1,7 *", "0 9 1 */3 *", "0 9 1 2/5 *", "0 9 1 JAN,Apr,jul *", "0 9 31 * *", "0 9 30 * *",
    "0 9 31 4-12 *", "0 0 29 2 *", "0 0 28,29 feb *", "0 0 1 1 *", "59 23 31 12 *",
    # day of month and day of week: either, unless one begins with a star
    "0 0 13 * 5", "0 0 1,15 * 1", "0 0 1-7 * 1", "0 0 */2 * 5", "0 0 1-31/2 * 5", "0 0 13 * */2",
    "0 0 ? * 1", "0 0 13 * ?", "0 0 ? * ?", "0 0 L * 1", "0 0 15W * 0", "0 0 10 * 1#1", "0 0 1 3 2",
    "0 0 */10 * 0-3", "0 0 *,13 * 5", "0 0 29 2 1", "0 0 30 2 5", "0 0 31 6 0",
    # last days, nearest weekdays, the nth weekday
    "0 0 L * *", "0 0 l 2 *", "0 0 L,15 * *", "0 0 LW * *", "0 0 lw 5,8 *", "0 0 1W * *",
    "0 0 15W * *", "0 0 15w,L * *", "0 0 18W * *", "0 0 28W 2 *", "0 0 29W 2 *", "0 0 30W * *",
    "0 0 31W * *", "0 0 * * 5L", "0 0 * * 0L", "0 0 * * 7L", "0 0 * * 1L,3L", "0 0 * 2 6L",
    "0 0 * * 1#1", "0 0 * * 1#2", "0 0 * * 0#1", "0 0 * * 7#1", "0 0 * * 5#5", "0 0 * * mon#3",
    "0 0 * * SUN#2,WED", "0 0 * * 2#4,4#4", "0 0 ? * fri#1",
    # six fields: seconds first
    "0 0 9 * * *", "30 0 8 * * *", "*/10 * * * * *", "*/25 30 * * * *", "5,35 * 4 * * *",
    "59 59 23 * * *", "50-10/10 15 3 * * *", "* * * * * *", "0 */20 * * * *", "7/20 0 0 1 * *",
    "0 0 0 L * *", "15 15 9 ? * 1-5", "0 0 12 * * 7",
    # seven fields: the year last
    "0 0 9 * * * *", "0 0 0 1 1 ? 2027", "0 0 0 1 1 * 2024-2031", "0 0 0 29 2 ? 2000/4",
    "0 0 0 1 7 * */5", "0 0 12 31 12 ? 2019,2026,2033", "30 30 6 * * 1 2024,2026",
    "0 0 0 29 2 * 2023-2025", "*/20 59 23 31 12 ? 2025-2027/2", "0 0 3 15W 6 ? 2020-2040/10",
    "0 0 5 ? 5 1#2 2024-2026", "0 0 0 1 1 ? ?",
    # names
    "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly", "@DAILY",
    "@Weekly",
    # a zone in front
    "CRON_TZ=Europe/Berlin 0 9 * * *", "CRON_TZ=America/New_York 30 2 * * 0",
    "CRON_TZ=Asia/Kathmandu */45 * * * *", "CRON_TZ=Pacific/Apia @daily",
    "CRON_TZ=Australia/Lord_Howe 0 0 2 * * *", "TZ=America/Havana 0 0 * * *",
    # blanks
    "  0   9 *  * 1-5  ", "0 9 * * 1 ",
)  # fmt: skip

FIELDS: Final[tuple[dict[str, int | str], ...]] = (
    # what is left out: a star above the finest field, the smallest value below it
    {"hour": 9}, {"minute": 30}, {"second": 15}, {"day": 15}, {"month": 6}, {"year": 2027},
    {"week": 1}, {"day_of_week": 0}, {"hour": 9, "second": 30}, {"month": 2, "minute": 5},
    {"year": 2028, "day": 29}, {"day": 31, "second": 59}, {"week": 53}, {"week": 52, "hour": 23},
    # every kind of term in every field
    {"minute": "*"}, {"minute": "*/15"}, {"minute": "*/7"}, {"minute": "3-40/9"},
    {"minute": "50/4"}, {"minute": "0,30"}, {"minute": "5-8"}, {"minute": "*/20,7"},
    {"minute": "7,*/20"},
    {"hour": "*"}, {"hour": "*/6"}, {"hour": "8-18/5"}, {"hour": "20/2"}, {"hour": "1,13"},
    {"hour": "0-3"}, {"hour": 0}, {"hour": 23, "minute": 59, "second": 59},
    {"second": "*/20"}, {"second": "10-50/20", "minute": 5},
    {"second": "*", "minute": 0, "hour": 3}, {"second": 0, "minute": "*/10", "hour": "9-10"},
    {"second": "0,30", "hour": 4},
    {"day": "*/10"}, {"day": "1-7"}, {"day": "28/1"}, {"day": "1,15"}, {"day": 31}, {"day": 30},
    {"day": "last"}, {"day": "LAST", "hour": 18}, {"day": "1st mon"}, {"day": "2nd fri"},
    {"day": "3rd wed", "hour": "*/8"}, {"day": "4th  thu"}, {"day": "5th sun"}, {"day": "last fri"},
    {"day": "last sun", "month": "mar,oct", "hour": 1}, {"day": "last, 2nd tue, 10"},
    {"day": "1st Mon, last Fri"}, {"day": 29, "month": 2}, {"day": "last", "month": 2},
    {"month": "*/4"}, {"month": "3-9/3"}, {"month": "8/2"}, {"month": "jan,jul"},
    {"month": "nov-dec"}, {"month": "Jun-Aug", "day": 1, "hour": 12}, {"month": 12, "day": 31},
    {"year": "2026-2029"}, {"year": "*/4"}, {"year": "2020/5", "month": 7},
    {"year": "2025,2027", "month": 1, "day": 1, "hour": 0}, {"year": 2026, "week": 1},
    {"year": "2024-2028/4", "month": 2, "day": 29, "hour": 6},
    {"week": "1,53"}, {"week": "*/26"}, {"week": "10-30/10", "day_of_week": 2},
    {"week": 1, "day_of_week": "mon"}, {"week": 53, "day_of_week": 6, "hour": 8},
    # weekdays, of which Monday is the first
    {"day_of_week": 6}, {"day_of_week": "0-4", "hour": 9}, {"day_of_week": "mon-fri", "hour": 9},
    {"day_of_week": "sat,sun", "hour": 10}, {"day_of_week": "*/2"}, {"day_of_week": "5/1"},
    {"day_of_week": "Sun", "hour": 2, "minute": 30}, {"day_of_week": "tue-thu,6"},
    {"day_of_week": 0, "minute": "*/30"}, {"day_of_week": 4, "second": 1},
    # joined by AND
    {"day": 13, "day_of_week": "fri"}, {"day": "1-7", "day_of_week": 0, "hour": 9},
    {"day": "last", "day_of_week": "0-4"}, {"week": "20-30", "day": "1-7", "hour": 12},
    {"day": "1st sun", "month": 11, "hour": 1, "minute": 30},
    {"month": 3, "day": "8-14", "day_of_week": 6, "hour": 2, "minute": 30},
    {"day": "*", "day_of_week": "*", "hour": 7}, {"day": "*/2", "day_of_week": "*/2", "hour": 7},
)  # fmt: skip
"""Fields that a JSON file could hold."""
