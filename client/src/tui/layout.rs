//! Where everything is: one pure function, used for drawing and for paging alike.

use ratatui::layout::Rect;

/// Under this nothing is drawn but a hint.
const SMALLEST: (u16, u16) = (20, 6);
/// From here the list stands beside the messages.
const WIDE: u16 = 60;
/// From here there is room for the details.
const WIDEST: u16 = 120;
const LIST_WIDEST: u16 = 24;
const DETAILS: u16 = 30;
/// Rows of the box at most.
const BOX_MAX: u16 = 6;

/// What the person has chosen to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panes {
    /// The list beside the messages.
    pub(crate) list: bool,
    /// The list instead of the messages, where only one of them fits.
    pub(crate) list_first: bool,
    /// The details, where they fit.
    pub(crate) details: bool,
    /// Columns of the list beside the messages; a screen with room to spare gives it more.
    pub(crate) list_width: u16,
}

/// The parts of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) title: Rect,
    /// The list, with its bar on the right where something is beside it.
    pub(crate) list: Option<Rect>,
    /// Messages; empty where the list has their place.
    pub(crate) pane: Rect,
    pub(crate) rule: Rect,
    pub(crate) composer: Rect,
    /// The details, with their bar on the left.
    pub(crate) details: Option<Rect>,
    pub(crate) status: Rect,
    /// Only one of list and messages fits.
    pub(crate) narrow: bool,
    /// There is room to spare.
    pub(crate) widest: bool,
}

impl Areas {
    /// The parts of a screen of this size; `None` where it is too small.
    pub(crate) fn new(size: (u16, u16), panes: Panes, box_rows: usize) -> Option<Areas> {
        let (columns, rows) = size;
        if columns < SMALLEST.0 || rows < SMALLEST.1 {
            return None;
        }
        let (narrow, widest) = (columns < WIDE, columns >= WIDEST);
        let line = |y: u16| Rect::new(0, y, columns, 1);
        let body = Rect::new(0, 1, columns, rows - 2);
        let mut areas = Areas {
            title: line(0),
            list: None,
            pane: Rect::ZERO,
            rule: Rect::ZERO,
            composer: Rect::ZERO,
            details: None,
            status: line(rows - 1),
            narrow,
            widest,
        };
        if narrow && panes.list_first {
            areas.list = Some(body);
            return Some(areas);
        }
        let list = match (narrow || !panes.list, widest) {
            (true, _) => 0,
            // One more column for the bar.
            (false, false) => panes.list_width + 1,
            (false, true) => panes.list_width.max(LIST_WIDEST) + 1,
        };
        let details = if widest && panes.details { DETAILS + 1 } else { 0 };
        if list > 0 {
            areas.list = Some(Rect { width: list, ..body });
        }
        if details > 0 {
            areas.details = Some(Rect { x: columns - details, width: details, ..body });
        }
        let middle = Rect { x: list, width: columns - list - details, ..body };
        let box_rows = u16::try_from(box_rows).unwrap_or(u16::MAX);
        let box_rows = box_rows.clamp(1, BOX_MAX).min((rows / 3).max(1));
        let below = |y: u16, height: u16| Rect { y, height, ..middle };
        let rule = middle.bottom() - box_rows - 1;
        areas.pane = Rect { height: rule - middle.y, ..middle };
        areas.rule = below(rule, 1);
        areas.composer = below(rule + 1, box_rows);
        Some(areas)
    }

    /// Columns of text in the box: beside its margin and its prompt.
    pub(crate) fn box_columns(&self) -> usize {
        usize::from(self.composer.width.saturating_sub(self.margin() + 2)).max(2)
    }

    /// Empty columns left of messages and box.
    pub(crate) fn margin(&self) -> u16 {
        if self.narrow { 0 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANES: Panes = Panes { list: true, list_first: false, details: true, list_width: 20 };

    #[test]
    fn every_size_is_covered_once() {
        for columns in 0..200 {
            for rows in 0..60 {
                for list_first in [false, true] {
                    let panes = Panes { list_first, ..PANES };
                    let Some(areas) = Areas::new((columns, rows), panes, 9) else {
                        assert!(columns < 20 || rows < 6);
                        continue;
                    };
                    let parts = [areas.title, areas.pane, areas.rule, areas.composer, areas.status];
                    let all = parts.into_iter().chain(areas.list).chain(areas.details);
                    let covered: u32 = all.map(|area| area.area()).sum();
                    assert_eq!(covered, u32::from(columns) * u32::from(rows), "{columns}x{rows}");
                    assert!(areas.list.is_some() && list_first && areas.narrow || areas.pane.height > 0);
                }
            }
        }
    }

    #[test]
    fn the_three_screens() {
        let areas = |size| Areas::new(size, PANES, 1).expect("large enough");
        let common = areas((80, 24));
        assert_eq!(
            (common.list.map(|list| list.width), common.details, common.narrow),
            (Some(21), None, false)
        );
        assert_eq!((common.pane.height, common.composer.y, common.status.y), (20, 22, 23));
        let widest = areas((140, 40));
        assert_eq!(
            (widest.list.map(|list| list.width), widest.details.map(|area| area.x)),
            (Some(25), Some(109))
        );
        let narrow = areas((40, 20));
        assert_eq!((narrow.list, narrow.pane.width, narrow.narrow), (None, 40, true));
    }

    #[test]
    fn the_box_takes_a_third_at_most() {
        let rows = |height, wanted| {
            Areas::new((80, height), PANES, wanted).map(|areas| areas.composer.height).unwrap_or_default()
        };
        assert_eq!([rows(24, 1), rows(24, 4), rows(24, 99), rows(12, 99), rows(6, 99)], [1, 4, 6, 4, 2]);
    }
}
