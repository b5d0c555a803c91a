//! Several pictures in one: a grid of equal cells.

use super::picture::{Picture, PictureError};

/// Most cells.
pub const MAX_CELLS: usize = 16;

/// A place in the grid, in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// Places for so many pictures: as many columns as rows, or one more. The last row is centred.
pub fn layout(count: usize, width: u32, height: u32) -> Vec<Cell> {
    let count = u32::try_from(count.min(MAX_CELLS)).unwrap_or(0);
    let columns = (1..=count).find(|columns| columns * columns >= count).unwrap_or(1);
    let rows = count.div_ceil(columns).max(1);
    let (cell_width, cell_height) = ((width / columns) & !1, (height / rows) & !1);
    (0..count)
        .map(|n| {
            let (column, row) = (n % columns, n / columns);
            let in_row = if row + 1 == rows { count - row * columns } else { columns };
            let indent = (width - in_row * cell_width) / 2;
            Cell {
                x: (indent + column * cell_width) & !1,
                y: row * cell_height,
                width: cell_width,
                height: cell_height,
            }
        })
        .collect()
}

/// Draws pictures in order; `None` leaves a black place.
pub fn compose(pictures: &[Option<&Picture>], width: u32, height: u32) -> Result<Picture, PictureError> {
    let mut canvas = Picture::black(width, height)?;
    for (picture, cell) in pictures.iter().zip(layout(pictures.len(), canvas.width(), canvas.height())) {
        let Some(picture) = picture else { continue };
        let (wide, high) = picture.fitted(cell.width, cell.height);
        let scaled = picture.scaled(wide, high)?;
        canvas.draw(&scaled, cell.x + (cell.width - wide) / 2, cell.y + (cell.height - high) / 2);
    }
    Ok(canvas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_do_not_overlap_and_stay_inside() {
        for count in 0..=MAX_CELLS {
            let cells = layout(count, 1_280, 720);
            assert_eq!(cells.len(), count);
            for (n, one) in cells.iter().enumerate() {
                assert!(one.x + one.width <= 1_280 && one.y + one.height <= 720);
                for other in &cells[n + 1..] {
                    let apart = one.x + one.width <= other.x || one.y + one.height <= other.y;
                    assert!(apart, "{count}: {one:?} {other:?}");
                }
            }
        }
        assert_eq!(layout(3, 100, 100)[2].x, 24, "the last one is in the middle");
    }

    #[test]
    fn each_picture_is_in_its_place_with_its_shape() {
        let bright = Picture::filled(320, 180, (200, 128, 128)).unwrap();
        let tall = Picture::filled(90, 160, (100, 128, 128)).unwrap();
        let canvas = compose(&[Some(&bright), Some(&tall), None], 640, 360).unwrap();
        let at = |x: usize, y: usize| canvas.planes()[0][y * 640 + x];
        assert_eq!((at(5, 5), at(310, 170)), (200, 200));
        assert_eq!((at(480, 90), at(330, 90), at(300, 300)), (100, 16, 16));
        let tall_columns = (320..640).filter(|x| at(*x, 90) == 100).count();
        assert!((98..=102).contains(&tall_columns), "{tall_columns}");
    }
}
