extension Reference {
  /// One vector for each sequence of x [batch, length, features] from its tokens whose mask [batch,
  /// length] is not 0; zeros where there are none.
  package static func pooling<T: BinaryFloatingPoint>(
    _ kind: PoolingKind,
    x: [T],
    mask: [Int32],
    length: Int,
    features: Int
  ) -> [T] {
    stride(from: 0, to: mask.count, by: length).flatMap { first in
      let tokens = (first..<first + length).filter { mask[$0] != 0 }
      return (0..<features).map { i in
        let numbers = tokens.map { Double(x[$0 * features + i]) }
        switch kind {
        case .mean: return numbers.isEmpty ? 0 : T(numbers.reduce(0, +) / Double(numbers.count))
        case .meanOverRoot:
          return numbers.isEmpty
            ? 0 : T(numbers.reduce(0, +) / Double(numbers.count).squareRoot())
        case .max: return T(numbers.max() ?? 0)
        }
      }
    }
  }

  /// Shares the gradient [batch, features] among the tokens of a mean; gives it to the first of the
  /// greatest tokens of a maximum.
  package static func poolingGradient<T: BinaryFloatingPoint>(
    _ kind: PoolingKind,
    x: [T],
    mask: [Int32],
    length: Int,
    features: Int,
    gradient: [T]
  ) -> [T] {
    var out = [T](repeating: 0, count: x.count)
    for first in stride(from: 0, to: mask.count, by: length) {
      let tokens = (first..<first + length).filter { mask[$0] != 0 }
      for i in 0..<features {
        let upstream = Double(gradient[first / length * features + i])
        let greatest = tokens.map { x[$0 * features + i] }.max()
        switch kind {
        case .mean:
          for token in tokens { out[token * features + i] = T(upstream / Double(tokens.count)) }
        case .meanOverRoot:
          for token in tokens {
            out[token * features + i] = T(upstream / Double(tokens.count).squareRoot())
          }
        case .max:
          guard let token = tokens.first(where: { x[$0 * features + i] == greatest }) else { break }
          out[token * features + i] = T(upstream)
        }
      }
    }
    return out
  }

  /// x / max(‖x‖, 1e-12) for each row of x [rows, features].
  package static func unitLength<T: BinaryFloatingPoint>(
    x: [T],
    rows: Int,
    features: Int
  ) -> [T] {
    (0..<rows).flatMap { row in
      let numbers = doubles(x, row: row, of: features)
      let length = max(numbers.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12)
      return numbers.map { T($0 / length) }
    }
  }

  /// (gradient − y (y · gradient)) / ‖x‖ with y = x / ‖x‖; a row shorter than 1e-12 was divided by
  /// that.
  package static func unitLengthGradient<T: BinaryFloatingPoint>(
    x: [T],
    rows: Int,
    features: Int,
    gradient: [T]
  ) -> [T] {
    (0..<rows).flatMap { row in
      let upstream = doubles(gradient, row: row, of: features)
      let numbers = doubles(x, row: row, of: features)
      let length = numbers.reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard length > 1e-12 else { return upstream.map { T($0 / 1e-12) } }
      let unit = numbers.map { $0 / length }
      let along = zip(unit, upstream).reduce(0) { $0 + $1.0 * $1.1 }
      return zip(unit, upstream).map { T(($1 - $0 * along) / length) }
    }
  }
}
