//! SFT warm start and boundary-guided policy optimization, on Candle.
