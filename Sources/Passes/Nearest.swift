/// The known word that a misspelt one was most likely meant to be, or nil where none is near.
package func nearest(to word: String, among known: [String]) -> String? {
  let scored = known.map { ($0, editDistance(word, $0)) }
  guard let best = scored.min(by: { $0.1 < $1.1 }), best.1 <= max(2, word.count / 3) else {
    return nil
  }
  return best.0
}

/// A sentence part that names the nearest known word, and all known ones.
package func suggestion(for word: String, among known: [String]) -> String {
  let hint = nearest(to: word, among: known).map { "Did you mean '\($0)'? " } ?? ""
  return hint + "Known: \(known.joined(separator: ", "))."
}

/// How many insertions, deletions and replacements make one word of another (Levenshtein, 1966).
private func editDistance(_ left: String, _ right: String) -> Int {
  let (left, right) = (Array(left.unicodeScalars), Array(right.unicodeScalars))
  var row = Array(0...right.count)
  for (index, scalar) in left.enumerated() {
    var diagonal = row[0]
    row[0] = index + 1
    for place in right.indices {
      let replaced = diagonal + (scalar == right[place] ? 0 : 1)
      diagonal = row[place + 1]
      row[place + 1] = min(replaced, row[place] + 1, diagonal + 1)
    }
  }
  return row[right.count]
}
