-- The vector of each logged prediction of the endpoint, in the order of the model's inputs.
SELECT prediction_id, CAST(inputs AS DOUBLE[]) AS inputs
FROM strata.predictions
WHERE endpoint = '${endpoint}';
