//! Places as people write them: an H3 cell, or latitude and longitude.

use chroom_primitives::H3Cell;
use h3o::{CellIndex, LatLng, Resolution};
use std::str::FromStr;

/// Resolution that coordinates are coarsened to: cells of about 1,770 km², enough to choose by distance and too coarse
/// to find a machine by.
pub const RESOLUTION: Resolution = Resolution::Four;

/// A text is not a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlaceError {
    /// Neither form.
    #[error("a place is an H3 cell in hex (841faa3ffffffff) or latitude,longitude (50.11,8.68)")]
    Malformed,
    /// Latitude or longitude is out of range.
    #[error("latitude runs from -90 to 90, longitude from -180 to 180")]
    OutOfRange,
    /// Finer than a node may declare.
    #[error("the cell is finer than resolution 7, which is the finest that a node may declare")]
    TooFine,
}

/// The cell of a pair of coordinates in degrees.
pub fn cell_at(latitude: f64, longitude: f64) -> Result<H3Cell, PlaceError> {
    if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
        return Err(PlaceError::OutOfRange);
    }
    let place = LatLng::new(latitude, longitude).map_err(|_| PlaceError::OutOfRange)?;
    Ok(H3Cell(place.to_cell(RESOLUTION).into()))
}

/// Reads a place in either form.
pub fn parse(text: &str) -> Result<H3Cell, PlaceError> {
    if let Some((latitude, longitude)) = text.split_once(',') {
        let number = |part: &str| part.trim().parse::<f64>().map_err(|_| PlaceError::Malformed);
        return cell_at(number(latitude)?, number(longitude)?);
    }
    let cell = CellIndex::from_str(text.trim_start_matches("0x")).map_err(|_| PlaceError::Malformed)?;
    if u8::from(cell.resolution()) > H3Cell::MAX_RESOLUTION {
        return Err(PlaceError::TooFine);
    }
    Ok(H3Cell(cell.into()))
}

/// A cell as text: lower-case hex without prefix, as H3 writes it.
pub fn hex(cell: H3Cell) -> String {
    format!("{:x}", cell.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_cell() {
        let frankfurt = parse("50.11,8.68").unwrap();
        assert_eq!(parse(&hex(frankfurt)), Ok(frankfurt));
        assert!(frankfurt.is_plausible());
        assert_eq!(frankfurt.resolution(), 4);
    }

    #[test]
    fn wrong_places_are_refused_with_the_reason() {
        assert_eq!(parse("frankfurt"), Err(PlaceError::Malformed));
        assert_eq!(parse("91,0"), Err(PlaceError::OutOfRange));
        assert_eq!(parse("NaN,0"), Err(PlaceError::OutOfRange));
        let fine: u64 = LatLng::new(50.0, 8.0).unwrap().to_cell(Resolution::Nine).into();
        assert_eq!(parse(&format!("{fine:x}")), Err(PlaceError::TooFine));
    }
}
