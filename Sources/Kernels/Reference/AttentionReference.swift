import Foundation

extension Reference {
  /// softmax(scale · q · kᵀ, over the keys a query sees) · v, on contiguous keys and values; of
  /// `mask` [batch, keys], 0 hides a key.
  package static func attention(
    q: [Float],
    k: [Float],
    v: [Float],
    shape: AttentionShape,
    mask: [Int32]? = nil
  ) -> [Float] {
    var out: [Float] = []
    for sequence in 0..<shape.batch {
      for query in 0..<shape.queries {
        for head in 0..<shape.heads {
          let queryRow = (sequence * shape.queries + query) * shape.heads + head
          let visible = shape.visibleKeys(of: query).filter { key in
            mask.map { $0[sequence * shape.keys + key] != 0 } ?? true
          }
          func keyRow(_ key: Int) -> Int {
            (sequence * shape.keys + key) * shape.keyValueHeads + head / shape.group
          }
          let scores = visible.map { key in
            (0..<shape.headSize).reduce(0.0) { sum, i in
              sum + Double(q[queryRow * shape.headSize + i])
                * Double(k[keyRow(key) * shape.headSize + i])
            } * Double(shape.scale)
          }
          let weights = scores.map { exp($0 - (scores.max() ?? 0)) }
          let total = weights.reduce(0, +)
          for i in 0..<shape.valueHeadSize {
            let sum = zip(visible, weights).reduce(0.0) { sum, pair in
              sum + pair.1 * Double(v[keyRow(pair.0) * shape.valueHeadSize + i])
            }
            out.append(total > 0 ? Float(sum / total) : 0)
          }
        }
      }
    }
    return out
  }
}
