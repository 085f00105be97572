//! The best success that any mix of policies reaches at a mean cost.

/// The non-decreasing, concave upper hull of points (mean cost, success). It starts at the origin, doing nothing for
/// nothing, and past its last vertex it stays flat: nobody has to spend more. Between two vertices lies what a coin
/// between their two policies, tossed per task, reaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Hull {
    vertices: Vec<(f64, f64)>,
}

impl Hull {
    /// The hull of `points`; costs are 0 or more. Points that are not finite are left out.
    #[must_use]
    pub fn new(points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut sorted: Vec<(f64, f64)> =
            points.into_iter().filter(|(cost, success)| cost.is_finite() && success.is_finite()).collect();
        sorted.push((0.0, 0.0));
        sorted.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.total_cmp(&right.1)));
        // Andrew's monotone chain, upper part only, over the points that raise the success so far.
        let mut vertices: Vec<(f64, f64)> = Vec::with_capacity(sorted.len());
        for point in sorted {
            if vertices.last().is_some_and(|last| point.1 <= last.1) {
                continue;
            }
            while let [.., before, last] = vertices[..] {
                if is_above(before, last, point) {
                    break;
                }
                vertices.pop();
            }
            if vertices.last().is_some_and(|last| last.0 >= point.0) {
                vertices.pop();
            }
            vertices.push(point);
        }
        Self { vertices }
    }

    /// The vertices, by rising cost and success.
    #[must_use]
    pub fn vertices(&self) -> &[(f64, f64)] {
        &self.vertices
    }

    /// The success that is reached at a mean cost of `cost`, 0 or more.
    #[must_use]
    pub fn success_at(&self, cost: f64) -> f64 {
        for pair in self.vertices.windows(2) {
            let [(from, low), (to, high)] = [pair[0], pair[1]];
            if cost <= to {
                return low + (high - low) * ((cost - from) / (to - from)).max(0.0);
            }
        }
        self.vertices.last().map_or(0.0, |&(_, success)| success)
    }

    /// The area under the hull from 0 to `end`.
    #[must_use]
    pub fn area(&self, end: f64) -> f64 {
        let mut area = 0.0;
        for pair in self.vertices.windows(2) {
            let [(from, low), (to, _)] = [pair[0], pair[1]];
            let to = to.min(end);
            if to > from {
                area += (to - from) * (low + self.success_at(to)) / 2.0;
            }
        }
        let (last_cost, last_success) = self.vertices.last().copied().unwrap_or_default();
        area + (end - last_cost).max(0.0) * last_success
    }
}

/// Whether `middle` lies above the line from `left` to `right`.
fn is_above(left: (f64, f64), middle: (f64, f64), right: (f64, f64)) -> bool {
    (middle.1 - left.1) * (right.0 - left.0) > (right.1 - left.1) * (middle.0 - left.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_vertices(points: &[(f64, f64)], expected: &[(f64, f64)]) {
        assert_eq!(Hull::new(points.iter().copied()).vertices(), expected);
        assert_eq!(Hull::new(points.iter().rev().copied()).vertices(), expected);
    }

    #[test]
    fn the_hull_starts_at_the_origin_and_keeps_only_what_is_on_top() {
        check_vertices(&[(1.0, 0.4), (10.0, 0.8)], &[(0.0, 0.0), (1.0, 0.4), (10.0, 0.8)]);
        // Below the line from (1, 0.4) to (10, 0.8), dearer and worse, and inside at equal cost.
        let points = [(1.0, 0.4), (4.0, 0.45), (10.0, 0.8), (12.0, 0.7), (10.0, 0.2)];
        check_vertices(&points, &[(0.0, 0.0), (1.0, 0.4), (10.0, 0.8)]);
        // A point above the line replaces nothing and adds a vertex; one that dominates removes the ones behind it.
        check_vertices(&[(1.0, 0.4), (4.0, 0.7), (10.0, 0.8)], &[(0.0, 0.0), (1.0, 0.4), (4.0, 0.7), (10.0, 0.8)]);
        check_vertices(&[(1.0, 0.4), (2.0, 0.9), (10.0, 0.8)], &[(0.0, 0.0), (2.0, 0.9)]);
        check_vertices(&[(0.0, 0.3), (10.0, 0.8)], &[(0.0, 0.3), (10.0, 0.8)]);
        check_vertices(&[], &[(0.0, 0.0)]);
    }

    #[test]
    fn success_is_interpolated_between_vertices_and_flat_past_the_last() {
        let hull = Hull::new([(2.0, 0.4), (10.0, 0.8)]);
        for (cost, success) in [(0.0, 0.0), (1.0, 0.2), (2.0, 0.4), (6.0, 0.6), (10.0, 0.8), (99.0, 0.8)] {
            assert!((hull.success_at(cost) - success).abs() < 1e-12);
        }
    }

    #[track_caller]
    fn check_area(points: &[(f64, f64)], end: f64, expected: f64) {
        let area = Hull::new(points.iter().copied()).area(end);
        assert!((area - expected).abs() < 1e-12, "{area}");
    }

    #[test]
    fn areas_match_values_computed_by_hand() {
        // A triangle of 2 * 0.4 / 2, a trapezoid of 8 * (0.4 + 0.8) / 2.
        check_area(&[(2.0, 0.4), (10.0, 0.8)], 10.0, 0.4 + 4.8);
        // Flat from 2 on.
        check_area(&[(2.0, 0.4)], 10.0, 0.4 + 8.0 * 0.4);
        // Cut within the second segment, at cost 6 and success 0.6.
        check_area(&[(2.0, 0.4), (10.0, 0.8)], 6.0, 0.4 + 2.0);
        // Cut within the first segment, at cost 1 and success 0.2.
        check_area(&[(2.0, 0.4), (10.0, 0.8)], 1.0, 0.1);
        check_area(&[], 10.0, 0.0);
    }
}
