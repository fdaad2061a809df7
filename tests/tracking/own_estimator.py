"""An estimator that no distribution ships, as a user would keep it beside the project."""

from sklearn.linear_model import LogisticRegression


class Doubted(LogisticRegression):
    """Halfway between what logistic regression says and even odds."""

    def predict_proba(self, X):
        """Probabilities of shape (n_rows, n_classes)."""
        return (super().predict_proba(X) + 1 / len(self.classes_)) / 2
