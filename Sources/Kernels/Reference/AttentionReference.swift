import Foundation

extension Reference {
  /// softmax(scale · q · kᵀ, over the keys a query sees) · v, on contiguous keys and values; of
  /// `mask` [batch, keys], 0 hides a key.
  package static func attention<Number: BinaryFloatingPoint>(
    q: [Number],
    k: [Number],
    v: [Number],
    shape: AttentionShape,
    mask: [Int32]? = nil
  ) -> [Number] {
    let (q, k, v) = (q.map { Double($0) }, k.map { Double($0) }, v.map { Double($0) })
    var out: [Double] = []
    for row in 0..<shape.batch * shape.queries * shape.heads {
      let seen = weights(row: row, q: q, k: k, shape: shape, mask: mask)
      for i in 0..<shape.valueHeadSize {
        out.append(seen.reduce(0) { $0 + $1.weight * v[$1.keyRow * shape.valueHeadSize + i] })
      }
    }
    return out.map { Number($0) }
  }

  /// The gradients of `attention` by q, k and v, given that of its result.
  package static func attentionGradient<Number: BinaryFloatingPoint>(
    q: [Number],
    k: [Number],
    v: [Number],
    shape: AttentionShape,
    mask: [Int32]? = nil,
    gradient: [Number]
  ) -> (q: [Number], k: [Number], v: [Number]) {
    let (q, k, v) = (q.map { Double($0) }, k.map { Double($0) }, v.map { Double($0) })
    let gradient = gradient.map { Double($0) }
    let (size, valueSize) = (shape.headSize, shape.valueHeadSize)
    var toQ = q.map { _ in 0.0 }
    var toK = k.map { _ in 0.0 }
    var toV = v.map { _ in 0.0 }
    for row in 0..<shape.batch * shape.queries * shape.heads {
      let seen = weights(row: row, q: q, k: k, shape: shape, mask: mask)
      let toWeights = seen.map { key in
        (0..<valueSize).reduce(0.0) {
          $0 + gradient[row * valueSize + $1] * v[key.keyRow * valueSize + $1]
        }
      }
      let mean = zip(seen, toWeights).reduce(0) { $0 + $1.0.weight * $1.1 }
      for (key, toWeight) in zip(seen, toWeights) {
        let toScore = key.weight * (toWeight - mean) * Double(shape.scale)
        for i in 0..<valueSize {
          toV[key.keyRow * valueSize + i] += key.weight * gradient[row * valueSize + i]
        }
        for i in 0..<size {
          toQ[row * size + i] += toScore * k[key.keyRow * size + i]
          toK[key.keyRow * size + i] += toScore * q[row * size + i]
        }
      }
    }
    return (toQ.map { Number($0) }, toK.map { Number($0) }, toV.map { Number($0) })
  }

  /// The keys that a row of queries [batch, queries, heads] sees: their rows in [batch, keys,
  /// keyValueHeads] and their weights.
  private static func weights(
    row: Int,
    q: [Double],
    k: [Double],
    shape: AttentionShape,
    mask: [Int32]?
  ) -> [(keyRow: Int, weight: Double)] {
    let head = row % shape.heads
    let query = row / shape.heads % shape.queries
    let sequence = row / shape.heads / shape.queries
    let visible = shape.visibleKeys(of: query).filter { key in
      mask.map { $0[sequence * shape.keys + key] != 0 } ?? true
    }
    let keyRows = visible.map { key in
      (sequence * shape.keys + key) * shape.keyValueHeads + head / shape.group
    }
    let scores = keyRows.map { keyRow in
      (0..<shape.headSize).reduce(0.0) { sum, i in
        sum + q[row * shape.headSize + i] * k[keyRow * shape.headSize + i]
      } * Double(shape.scale)
    }
    return Array(zip(keyRows, softmax(scores)))
  }

  /// e^x over their sum.
  static func softmax(_ x: [Double]) -> [Double] {
    let greatest = x.filter { !$0.isNaN }.max() ?? 0
    let exponentials = x.map { exp($0 - greatest) }
    let total = exponentials.reduce(0, +)
    return exponentials.map { $0 / total }
  }
}
