package import KaratTensors

/// Where a student's tensor comes from.
package enum TensorOrigin: Sendable, Hashable {
  /// Parts of the teacher's tensors, side by side along one extent; where several are for one place, their
  /// sum.
  case parts([[TensorPart]], along: Int)
  /// Numbers of a normal distribution around 0, drawn by a seed and the tensor's name.
  case random(deviation: Float)
  /// The same number everywhere.
  case constant(Float)
}

/// A part of one of the teacher's tensors.
package struct TensorPart: Sendable, Hashable {
  /// The tensor.
  package let tensor: TensorName
  /// For each of its extents which places are taken, in order, or nil for all.
  package let places: [[Int]?]
  /// What its numbers are multiplied by.
  package let factor: Float

  package init(_ tensor: TensorName, places: [[Int]?], factor: Float = 1) {
    self.tensor = tensor
    self.places = places
    self.factor = factor
  }
}
